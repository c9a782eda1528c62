"""Pictures of runs: curves, confusion matrix, grid of predictions. Needs matplotlib (``smallnets[plot]``)."""

import contextlib
import math
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .errors import OptionError, message
from .pictures import plain, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VAL, GOOD, BAD, GREY = "#3b6fb6", "#e07b39", "#2c7a4b", "#c0392b", "#666666"


def new_figure(width: float, height: float) -> "Figure":
    """A figure of its own, in inches: no pyplot, no global state.

    Raises:
        ImportError: Without matplotlib, saying how to get it.
    """
    with own_backend():
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("plots: expected matplotlib; got none. pip install 'smallnets[plot]'.") from error
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def own_backend() -> Generator[None, None, None]:
    """Import matplotlib whatever MPLBACKEND names, which it would refuse to start with if that does not exist."""
    named = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        yield
        if named is not None:
            import matplotlib

            with contextlib.suppress(ValueError, ImportError):
                matplotlib.rcParams["backend"] = named
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named


def save(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    if path is not None:
        write_figure(figure, path)
    return figure


def plot_history(
    rows: Sequence[Mapping[str, Any]],
    path: str | os.PathLike[str] | None = None,
    held_out: str = "validation",
    tested: float | None = None,
    ax: "Axes | Sequence[Axes] | None" = None,
    alone: str = "accuracy",
) -> "Figure":
    """Loss and accuracy over the epochs, train and validation, side by side.

    Args:
        rows: As ``History`` has them.
        path: Where to save it, if at all.
        held_out: What the columns of validation are called.
        tested: Accuracy on the test split after training, drawn as one mark.
        ax: Axes to draw into instead of a new figure's: a pair, or one.
        alone: What to draw into one.
    """
    columns = ["loss", "accuracy"]
    if ax is None:
        figure = new_figure(9, 3.6)
        drawn: list[Any] = [figure.add_subplot(1, 2, place) for place in (1, 2)]
    else:
        drawn = [ax] if hasattr(ax, "plot") else list(np.ravel(np.asarray(ax, dtype=object)))
        columns = columns if len(drawn) > 1 else [alone]
        if len(drawn) not in (1, 2) or not all(hasattr(axes, "plot") for axes in drawn):
            raise OptionError(message("plot", "ax to be one of matplotlib's axes, or a pair of them", repr(ax)[:100]))
        figure = drawn[0].figure
    epochs = [row["epoch"] for row in rows]
    for axes, column in zip(drawn, columns, strict=True):
        marker = "o" if len(rows) < 40 else ""
        axes.plot(epochs, [row[column] for row in rows], color=TRAIN, marker=marker, markersize=3, label="train")
        if rows and rows[0].get(f"val_{column}") is not None:
            measured = [row[f"val_{column}"] for row in rows]
            axes.plot(epochs, measured, color=VAL, marker=marker, markersize=3, label=held_out)
            if held_out == "validation":  # nobody chooses an epoch by the test split
                best = min(range(len(rows)), key=lambda i: measured[i] if column == "loss" else -measured[i])
                text = f"best {measured[best]:.4f}\nepoch {epochs[best]}"
                ring: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "label": text}
                axes.plot([epochs[best]], [measured[best]], "o", color=VAL, **ring)
        if tested is not None and column == "accuracy" and rows:
            label = f"test, once: {tested:.4f}"
            axes.plot([epochs[-1]], [tested], "*", color=GOOD, markersize=11, label=label)
        axes.set_title(column.capitalize(), loc="left", fontweight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return save(figure, path)


def plot_lr_curve(
    lrs: Sequence[float], losses: Sequence[float], suggestion: float, path: str | os.PathLike[str] | None = None
) -> "Figure":
    """Loss over the learning rate, logarithmic, with the suggested rate."""
    figure = new_figure(6, 3.6)
    axes: Any = figure.add_subplot()
    axes.semilogx(lrs, losses, color=TRAIN)
    at = min(range(len(lrs)), key=lambda i: abs(lrs[i] - suggestion))
    axes.plot([suggestion], [losses[at]], "o", color=VAL, label=f"suggestion {suggestion:.2g}")
    lowest = min(range(len(losses)), key=losses.__getitem__)
    low, high = losses[lowest], max(losses[: lowest + 1])
    if high > low:
        axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))  # the descent, not how it diverges
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, smoothed")
    axes.set_title("Learning-rate range test", loc="left", fontweight="bold")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return save(figure, path)


def plot_confusion(
    confusion: npt.NDArray[Any],
    classes: Sequence[str],
    accuracy: float,
    path: str | os.PathLike[str] | None = None,
) -> "Figure":
    """Counts by true class (rows) and predicted class (columns); colour is the share of the row."""
    count, classes = len(classes), [plain(name) for name in classes]
    side = min(12.0, 2.6 + 0.42 * count)
    figure = new_figure(side + 0.9, side)
    axes: Any = figure.add_subplot()
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 20:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else ("black" if row == column else BAD)
            text = str(int(confusion[row, column]))
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    if count <= 50:
        long = max(map(len, classes)) > 3
        axes.set_xticks(range(count), classes, rotation=45 if long else 0, ha="right" if long else "center", fontsize=8)
        axes.set_yticks(range(count), classes, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{int(confusion.sum()):,} pictures, accuracy {accuracy:.4f}", loc="left", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the true class")
    return save(figure, path)


def plot_grid(
    pictures: Tensor,
    predicted: Sequence[str],
    sure: Sequence[float],
    true: Sequence[str] | None,
    path: str | os.PathLike[str] | None = None,
    most: int = 40,
    names: Sequence[str] | None = None,
) -> "Figure":
    """Pictures with the predicted class and its probability; green when right, red with the true class when wrong.

    Where no true class is known, the pictures' names stand below them.
    """
    shown = min(most, len(pictures))
    columns = max(1, min(8, shown))
    rows = max(1, math.ceil(shown / columns))
    figure = new_figure(columns * 1.25, rows * 1.5 + 0.3)
    for place in range(shown):
        axes: Any = figure.add_subplot(rows, columns, place + 1)
        axes.imshow(as_picture(pictures[place]), cmap="gray", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        right = true is None or true[place] == predicted[place]
        colour = GREY if true is None else (GOOD if right else BAD)
        title = f"{short(predicted[place])}  {sure[place]:.0%}"
        if true is not None and not right:
            title += f"\ntrue: {short(true[place])}"
        if true is None and names is not None:
            axes.set_xlabel(plain(tail(names[place])), fontsize=6.5, color=GREY, labelpad=2)
        axes.set_title(title, fontsize=7.5, color=colour, pad=3, fontweight="normal" if right else "bold")
        for spine in axes.spines.values():
            spine.set_color(colour)
            spine.set_linewidth(0.8 if right else 2)
    return save(figure, path)


def short(name: str, most: int = 13) -> str:
    """A class name that fits above its picture.

    >>> short("a rather long name")
    'a rather lon…'
    """
    return plain(name if len(name) <= most else name[: most - 1] + "…")


def tail(name: str, most: int = 20) -> str:
    """The end of a picture's name, which tells it from its neighbours.

    >>> tail("holidays/2024/dog.jpg"), tail("a-very-long-name-of-picture-17.png")
    ('dog.jpg', '…e-of-picture-17.png')
    """
    name = name.rpartition("/")[2] or name
    return name if len(name) <= most else "…" + name[1 - most :]


def as_picture(image: Tensor) -> npt.NDArray[Any]:
    """(C, H, W) of uint8 or any floats as something that can be drawn, (H, W) or (H, W, 3)."""
    pixels = image.detach().cpu().numpy()
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) / (high - low) if high > low else pixels * 0
    return pixels[0] if pixels.shape[0] != 3 else pixels.transpose(1, 2, 0)
