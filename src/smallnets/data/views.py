"""A set at a glance: pictures of every class beside its count, as HTML for notebooks and as a drawing."""

import base64
import io
import os
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Protocol

import torch
from PIL import Image
from torch import Tensor

from ..errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = 20  # rows
PICTURES = 40  # of all classes together, at least one a class
SIDE = 64  # pixels of a picture's longer side, at most
STYLE = """<style>
.sn-set{font:13px/1.4 system-ui,sans-serif;color-scheme:light dark}
.sn-set table{border-collapse:collapse;background:none}
.sn-set td{border:0;padding:2px 10px 2px 0;text-align:left;vertical-align:middle;background:none}
.sn-set .n{text-align:right;font-variant-numeric:tabular-nums;opacity:.7}
.sn-set img{height:40px;max-width:120px;object-fit:contain;image-rendering:pixelated;margin:0 3px 0 0;
vertical-align:middle;border-radius:2px;background:#8884}
.sn-set .b{display:inline-block;height:8px;border-radius:2px;background:#3b6fb6}
.sn-set p{margin:4px 0;opacity:.7}
</style>"""


class Pictures(Protocol):
    """What a view needs of a set."""

    @property
    def labels(self) -> Tensor: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...


class Row:
    """A class: its name, how many pictures it has, and some of them, evenly spaced."""

    def __init__(self, pictures: Pictures, label: int, most: int) -> None:
        self.name = pictures.classes[label]
        places = torch.nonzero(pictures.labels == label).flatten()
        self.count = len(places)
        few = torch.linspace(0, max(0, self.count - 1), min(most, self.count)).round().long()
        self.pictures = list(readable(pictures, places[few].tolist()))


def readable(pictures: Pictures, places: list[int]) -> Iterator[Image.Image]:
    for place in places:
        try:
            yield small(pictures[place][0])
        except DataError:  # a view is no reason to stop at a broken file
            continue


def rows_of(pictures: Pictures) -> list[Row]:
    shown = range(min(CLASSES, len(pictures.classes)))
    return [Row(pictures, label, max(1, min(10, PICTURES // max(1, len(shown))))) for label in shown]


def small(image: Tensor) -> Image.Image:
    """A thumbnail of (C, H, W), floats scaled to their range; of three channels in colour, else the first."""
    pixels = image.detach().cpu()
    if pixels.dtype != torch.uint8:
        low, span = pixels.min(), pixels.max() - pixels.min()
        pixels = ((pixels - low) / span.clamp(min=1e-12) * 255).to(torch.uint8)
    array = pixels.permute(1, 2, 0).numpy() if len(pixels) == 3 else pixels[0].numpy()
    picture = Image.fromarray(array)
    picture.thumbnail((SIDE, SIDE))
    return picture


def inlined(picture: Image.Image) -> str:
    """An ``img`` with the picture inside: exact where it is small, else as a JPEG."""
    exact, file = max(picture.size) <= 32, io.BytesIO()
    picture.save(file, "PNG" if exact else "JPEG", **({} if exact else {"quality": 75}))
    kind, data = "png" if exact else "jpeg", base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img alt="" src="data:image/{kind};base64,{data}">'


def page_of(pictures: Pictures) -> str:
    """The set in a notebook: nothing is fetched, and no name is taken for markup."""
    rows = rows_of(pictures)
    most = max((row.count for row in rows), default=0)
    lines = [
        f"<tr><td>{escape(short(row.name))}</td><td class='n'>{row.count:,}</td>"
        f"<td><span class='b' style='width:{round(80 * row.count / max(1, most))}px'></span></td>"
        f"<td>{''.join(inlined(picture) for picture in row.pictures)}</td></tr>"
        for row in rows
    ]
    more = len(pictures.classes) - len(rows)
    rest = f"<p>and {more:,} more {'class' if more == 1 else 'classes'}</p>" if more else ""
    head = f"<p>{escape(short(repr(pictures), 200))}</p>"
    return f"{STYLE}<div class='sn-set'>{head}<table>{''.join(lines)}</table>{rest}</div>"


def figure_of(pictures: Pictures, path: str | os.PathLike[str] | None = None) -> "Figure":
    """The same as a drawing."""
    from ..plots import new_figure, save

    rows = rows_of(pictures)
    columns = max((len(row.pictures) for row in rows), default=1) or 1
    figure = new_figure(0.4 + max(2, columns) * 0.8, 0.4 + max(1, len(rows)) * 0.85)
    for line, row in enumerate(rows):
        for column in range(max(1, len(row.pictures))):
            axes = figure.add_subplot(max(1, len(rows)), columns, line * columns + column + 1)
            axes.set_axis_off()
            if column < len(row.pictures):
                axes.imshow(row.pictures[column], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if column == 0:
                # A dollar sign would begin a formula.
                name = f"{short(row.name)}  {row.count:,}".replace("$", r"\$")
                axes.set_title(name, fontsize=8, loc="left")
    return save(figure, path)


def short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
