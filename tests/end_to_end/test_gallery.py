"""The gallery's examples run, and draw what their pages show."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "gallery").glob("plot_*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_gallery(example: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    monkeypatch.chdir(tmp_path)
    try:
        names = runpy.run_path(str(example), run_name="example")
        figures = [value for value in names.values() if isinstance(value, Figure)]
        assert figures and all(figure.axes for figure in figures)
        title = names["__doc__"].strip().splitlines()
        assert len(title[1]) == len(title[0]) and set(title[1]) == {"="}
    finally:
        plt.close("all")
    assert list(tmp_path.iterdir()) == []
