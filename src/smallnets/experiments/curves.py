"""The curves of several runs in one picture."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..pictures import plain
from ..plots import GREY, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curves:
    """A line of a comparison: the rows of its runs, and their test accuracies where they have them."""

    label: str
    runs: Sequence[Sequence[Mapping[str, Any]]]
    test: Sequence[float] = ()

    def column(self, name: str) -> npt.NDArray[np.float64] | None:
        """(runs, epochs) of a column, as many epochs as all runs have; None where one is missing."""
        epochs = min(len(rows) for rows in self.runs)
        values = [[row.get(name) for row in rows[:epochs]] for rows in self.runs]
        return None if any(value is None for row in values for value in row) else np.array(values, dtype=np.float64)


def plot_curves(lines: Sequence[Curves], path: str | os.PathLike[str] | None = None) -> "Figure":
    """Loss and accuracy of several runs in one picture: held out in full, training dashed, tests as marks at the end.

    Of several seeds it shows the mean, and in a band the lowest and the highest.
    """
    names = [legend_name(line.label) for line in lines]
    inches = 0.55 + 0.07 * max(map(len, names), default=1)  # of a line of the legend
    columns = max(1, min(4, len(lines), int(9.6 / inches)))
    figure = new_figure(10, 4.2 + 0.2 * -(-len(lines) // columns))
    for place, (column, title) in enumerate((("loss", "Loss"), ("accuracy", "Accuracy"))):
        axes: Any = figure.add_subplot(1, 2, place + 1)
        for number, (line, shown) in enumerate(zip(lines, names, strict=True)):
            colour = f"C{number % 10}"
            style = (0, (3, 2)) if line.column(f"val_{column}") is not None else "-"
            for name, stroke, width in ((column, style, 1.0), (f"val_{column}", "-", 1.8)):
                values = line.column(name)
                if values is None:
                    continue
                epochs = np.arange(1, values.shape[1] + 1)
                solid = stroke == "-"
                look: dict[str, Any] = {
                    "linestyle": stroke,
                    "linewidth": width,
                    "marker": "o" if len(epochs) < 3 else "",
                }
                axes.plot(epochs, values.mean(0), color=colour, label=shown if solid else None, **look)
                if solid and len(values) > 1:
                    axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0)
            if column == "accuracy" and line.test:
                last = min(len(rows) for rows in line.runs)
                axes.plot([last] * len(line.test), line.test, "*", color=colour, markersize=9)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    dashed = "dashed: training; solid: held out; stars: test"
    figure.axes[0].set_title(dashed, loc="right", fontsize=7, color=GREY)
    return save(figure, path)


def legend_name(label: str) -> str:
    """A run's name as a legend has it: matplotlib leaves out what begins with an underscore, and 120 letters fit.

    >>> legend_name("_base"), len(legend_name("x" * 500))
    (' _base', 120)
    """
    name = plain(label if len(label) <= 120 else f"{label[:59]}…{label[-60:]}")
    return f" {name}" if name.startswith("_") else name
