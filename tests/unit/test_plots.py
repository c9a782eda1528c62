"""Pictures of runs show what they are drawn for."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import smallnets as sn
from smallnets import pictures, plots
from smallnets.experiments import curves


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


@pytest.mark.parametrize("name", ["$\\bad{$", "\\$$", "_{^%", "a\nb\x1b", ""])
def test_a_name_is_shown_letter_by_letter(name: str, tmp_path: Path) -> None:
    figure = plots.plot_confusion(np.eye(2), [name, "cat"], 1.0, tmp_path / "a.png")
    plots.plot_grid(torch.rand(2, 3, 4, 4), [name, "cat"], [0.5, 1.0], ["cat", name], tmp_path / "b.png")
    rows = [{"epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": None, "val_accuracy": None}]
    curves.plot_curves([curves.Curves(name, [rows])], tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3 and figure is not None


def test_letters_that_no_font_has_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SAID", set())
    letter = "\U00012345"  # cuneiform
    with pytest.warns(UserWarning, match=r"plots: expected a font that has .; got none\. Install one") as caught:
        plots.plot_confusion(np.eye(2), [letter, "cat"], 1.0, tmp_path / "a.png")
    assert len(caught) == 1
    plots.plot_confusion(np.eye(2), [letter, "cat"], 1.0, tmp_path / "a.png")


def test_another_font_helps_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.font_manager import findfont

    own = findfont("DejaVu Sans")
    monkeypatch.setattr(pictures, "characters_of", lambda path: frozenset() if path == own else frozenset({0x732B}))
    pictures.fallbacks.cache_clear()
    figure = plots.plot_confusion(np.eye(2), ["\u732b", "cat"], 1.0)
    assert pictures.with_fonts(figure) == set()
    shown: Any = figure.axes[0].get_xticklabels()[0]
    assert shown.get_fontfamily()[0] == "sans-serif" and len(shown.get_fontfamily()) == 2
    pictures.fallbacks.cache_clear()


def cjk_font() -> str | None:
    """The file of an installed font that has Chinese, Japanese and Korean letters."""
    from matplotlib.font_manager import findSystemFonts

    return next((path for path in sorted(findSystemFonts()) if {0x732B, 0xD55C} <= pictures.characters_of(path)), None)


@pytest.mark.skipif(cjk_font() is None, reason="no font for Chinese, Japanese and Korean is installed")
def test_names_in_any_script_are_readable_also_by_a_font_installed_after_matplotlibs_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib import font_manager as fonts

    monkeypatch.setattr(pictures, "SAID", set())
    own = [font for font in fonts.fontManager.ttflist if "matplotlib" in font.fname]
    monkeypatch.setattr(fonts.fontManager, "ttflist", own)
    for forget in (pictures.fallbacks, pictures.know_new_fonts):
        forget.cache_clear()
    drawn: list[bytes] = []
    for name in ("\u732b", "\u72ac", "\ud55c", "\u6c49"):  # a box in their place would be the same for all
        plots.plot_confusion(np.eye(2), [name, "cat"], 1.0, tmp_path / "a.png")
        plots.plot_grid(torch.zeros(2, 3, 4, 4), [name, "cat"], [0.5, 1.0], ["cat", name], tmp_path / "b.png")
        drawn += [(tmp_path / "a.png").read_bytes(), (tmp_path / "b.png").read_bytes()]
    assert len(set(drawn)) == 8
    for forget in (pictures.fallbacks, pictures.know_new_fonts):
        forget.cache_clear()


@pytest.mark.parametrize("backend", ["nonsense", "module://nowhere", ""])
def test_a_backend_that_is_not_there_costs_no_picture(backend: str, tmp_path: Path) -> None:
    code = (
        "import sys; from smallnets.plots import plot_history as p; p([dict(epoch=1, loss=1, accuracy=0)], sys.argv[1])"
    )
    surroundings = {**os.environ, "MPLBACKEND": backend}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True, env=surroundings)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_drawing_that_fails_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such\nfont")

    monkeypatch.setattr(plots, "plot_history", broken)
    data = torch.rand(8, 1, 32, 32), torch.arange(8) % 10
    with pytest.warns(UserWarning, match=r"fit: a picture could not be drawn \(no such\); the figures"):
        history = sn.fit(sn.lenet5(), data, epochs=1, run_dir=tmp_path / "run", progress=False, deterministic=True)
    assert len(history) == 1


def test_what_cannot_be_written_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    rows = [{"epoch": 1, "loss": 0.5, "accuracy": 0.8}]
    plots.plot_history(rows, path)
    old = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smallnets.files.sync", full)
    with pytest.raises(sn.RunError, match=r"a\.png; got No space left on device\. Free some space; the old a\.png is"):
        plots.plot_history(rows, path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_a_font_that_is_missing_is_no_warning_of_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SAID", {"\U00012345"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.plot_confusion(np.eye(2), ["\U00012345", "cat"], 1.0, tmp_path / "a.png")


@pytest.mark.parametrize(
    "names",
    [["_base", "new"], [f"optimizer=adamw-lr=0.00{n}-batch_size=256-decay=0.0005" for n in range(8)], ["x" * 500]],
)
def test_a_legend_holds_every_run(names: list[str], tmp_path: Path) -> None:
    rows = [{"epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": None, "val_accuracy": None}]
    figure = curves.plot_curves([curves.Curves(name, [rows]) for name in names], tmp_path / "c.png")
    (legend,) = figure.legends
    assert len(legend.get_texts()) == len(names)
    inside, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= inside.x0 and inside.x1 <= whole.x1 and whole.y0 <= inside.y0
