"""An explanation as one self-contained page, in the style of the summary's."""

import base64
import io
import math
from html import escape
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image
from torch import Tensor

from ..summary.html import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .examples import Examples
    from .explain import Explanation

MOST = 64  # maps of a layer that are shown
BARS = 5  # classes
# From dark to bright in even steps of lightness, so that a map reads the same in grey.
COLOURS = np.array([(20, 14, 54), (59, 60, 130), (40, 120, 142), (60, 180, 117), (170, 215, 70), (252, 231, 120)])
OWN_STYLE = """
.shots { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 260px)); gap: 16px; }
.shots figure, .maps { margin: 0; }
img { display: block; width: 100%; border-radius: 8px; image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 8px; }
.shelves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 18px 28px; }
.shelf { display: flex; gap: 12px; align-items: flex-start; }
.shelf .own { width: 56px; flex: none; border-radius: 0; }
.shelf figcaption { margin-top: 4px; }
.maps img { width: auto; max-width: 100%; border-radius: 0; }
"""


def page(found: "Explanation") -> str:
    """The picture, what the net says of it and why, its first filters, its maps."""
    said = found.classes[found.target]
    share = found.probabilities[found.target].item()
    height, width = found.picture.shape[1:]
    shots = [
        shot(as_shown(found.picture), f"The picture as the net saw it, {width}x{height} pixels"),
        shot(overlay(found.picture, found.cam), f"Bright is what speaks for “{said}” (Grad-CAM, last map)"),
    ]
    sections = [
        section("What it says", bars(found)),
        section("Why", f'<div class="shots">{"".join(shots)}</div>'),
    ]
    if len(found.filters):
        filters = tiles(filters_shown(found.filters), words_of(found.filters))
        sections.append(section("Filters of the first convolution", filters))
    for name, maps in found.maps.items():
        sections.append(section(f"Maps of {name}", tiles(maps_shown(maps), words_of(maps))))
        if name in found.examples:
            sections.append(section(f"What excites {name} most", shelves(found.examples[name], maps)))
    title = escape(f"{found.net} on one picture")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{style()}{OWN_STYLE}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{escape(said)}: {share:.1%}</p></header>{''.join(sections)}</main></body></html>\n"
    )


def section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def bars(found: "Explanation") -> str:
    best = found.probabilities.topk(min(BARS, len(found.classes)))
    lines: list[str] = []
    for share, at in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        bar = f'<div><i style="width:{share:.2%};background:var(--conv)"></i></div>'
        lines.append(f'<div class="part"><span>{escape(found.classes[at])}</span>{bar}<span>{share:.1%}</span></div>')
    return "".join(lines)


def shot(pixels: np.ndarray, words: str) -> str:
    image = f'<img src="{png(pixels)}" alt="{escape(words)}">'
    return f"<figure>{image}<figcaption>{escape(words)}</figcaption></figure>"


def tiles(each: list[np.ndarray], words: str) -> str:
    """Small pictures side by side, enlarged to be seen, in one image."""
    height, width = each[0].shape[:2]
    times = max(1, 56 // max(height, width))
    columns = min(len(each), max(8, math.ceil(math.sqrt(len(each) * 2))))
    rows, gap = math.ceil(len(each) / columns), 4
    down, across = height * times + gap, width * times + gap
    sheet = np.zeros((rows * down - gap, columns * across - gap, 4), np.uint8)  # what stays is transparent
    for place, pixels in enumerate(each):
        top, left = place // columns * down, place % columns * across
        large = pixels.repeat(times, axis=0).repeat(times, axis=1)
        sheet[top : top + height * times, left : left + width * times, :3] = large
        sheet[top : top + height * times, left : left + width * times, 3] = 255
    image = f'<img src="{png(sheet)}" alt="{escape(words)}">'
    return f'<figure class="maps">{image}<figcaption>{escape(words)}</figcaption></figure>'


def shelves(examples: "Sequence[Examples]", maps: Tensor) -> str:
    """For each channel its map of the picture, and the pictures of the set that excite it most."""
    lines: list[str] = []
    for one in examples:
        labels = escape(", ".join(one.labels))
        own = f'<img class="own" src="{png(coloured(scaled(maps[one.channel].numpy())))}" alt="Its map of the picture">'
        row = tiles([as_shown(picture / 255) for picture in one.pictures], f"Channel {one.channel}: {labels}")
        lines.append(f'<div class="shelf">{own}{row}</div>')
    words = (
        "Of the channels that this picture excites most: the map, and the pictures of the set with the largest value."
    )
    return f'<div class="shelves">{"".join(lines)}</div><p class="caption">{words}</p>'


def words_of(values: Tensor) -> str:
    count, sides = len(values), "x".join(map(str, reversed(values.shape[-2:])))
    shown = f"{count}" if count <= MOST else f"the {MOST} strongest of {count}"
    return f"{shown}, {sides} each; every one from its own darkest to its own brightest"


def maps_shown(maps: Tensor) -> list[np.ndarray]:
    """Up to ``MOST`` maps in colour, in their order, each scaled by itself."""
    strongest = maps.abs().mean(dim=(1, 2)).topk(min(MOST, len(maps))).indices.sort().values
    return [coloured(scaled(one.numpy())) for one in maps[strongest]]


def filters_shown(filters: Tensor) -> list[np.ndarray]:
    """Filters over three channels as colours, others by the mean over theirs."""
    chosen = filters[filters.abs().mean(dim=(1, 2, 3)).topk(min(MOST, len(filters))).indices.sort().values]
    if filters.shape[1] == 3:
        return [as_pixels(scaled(one.permute(1, 2, 0).numpy())) for one in chosen]
    return [coloured(scaled(one.mean(dim=0).numpy())) for one in chosen]


def scaled(values: np.ndarray) -> np.ndarray:
    """From 0 to 1; all 0 where the values are equal."""
    low, high = float(values.min()), float(values.max())
    return cast(np.ndarray, (values - low) / ((high - low) or 1.0))


def coloured(values: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1] -> (h, w, 3) uint8."""
    steps = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(values, steps, COLOURS[:, part]) for part in range(3)], axis=-1).astype(np.uint8)


def as_pixels(values: np.ndarray) -> np.ndarray:
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def as_shown(picture: Tensor) -> np.ndarray:
    """(C, H, W) -> (H, W, 3) uint8; of other than three channels their mean in grey."""
    colour = picture if len(picture) == 3 else picture.mean(dim=0, keepdim=True).expand(3, -1, -1)
    return as_pixels(colour.permute(1, 2, 0).numpy())


def overlay(picture: Tensor, cam: Tensor) -> np.ndarray:
    """The picture in grey under the colours of what counts."""
    grey = as_shown(picture).mean(axis=-1, keepdims=True)
    return cast(np.ndarray, (0.4 * grey + 0.6 * coloured(cam.numpy())).astype(np.uint8))


def png(pixels: np.ndarray) -> str:
    """As a data URL."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
