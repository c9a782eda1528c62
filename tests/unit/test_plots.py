"""Pictures of runs show what they are drawn for."""

from typing import Any

import torch

from smallnets import plots


def test_epochs_are_whole_also_of_one() -> None:
    axes: Any = plots.plot_history([{"epoch": 1, "loss": 0.5, "accuracy": 0.8}]).axes[0]
    shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    assert shown == [1.0]


def test_a_diverging_end_does_not_flatten_the_descent() -> None:
    figure = plots.plot_lr_curve([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [2.3, 2.2, 1.8, 1.7, 300.0], 1e-2)
    axes: Any = figure.axes[0]
    low, high = axes.get_ylim()
    assert low < 1.7 and 2.3 < high < 3


def test_long_names_stay_above_their_own_picture() -> None:
    pictures = torch.rand(2, 3, 4, 4)
    names = ["a class with a long name", "cat"]
    figure = plots.plot_grid(pictures, names, [0.5, 1.0], ["cat", "cat"])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["a class with…  50%\ntrue: cat", "cat  100%"]
