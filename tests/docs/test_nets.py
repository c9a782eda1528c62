"""What the site's build makes for the pages of the nets: drawings, live pages, tables of what was measured."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    monkeypatch.setattr(sys, "path", [str(DOCS / "_ext"), *sys.path])


def test_a_net_has_a_drawing_and_a_live_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    import live_pages

    monkeypatch.setattr(live_pages, "NETS", {name: live_pages.NETS[name] for name in ("lenet5", "resnet20")})
    live_pages.build(tmp_path / "live")
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == [
        *("lenet5.html", "lenet5.svg", "resnet20.html", "resnet20.svg")
    ]
    html = live_pages.shown("lenet5", "../live")
    assert (
        'src="../live/lenet5.svg" alt="lenet5 on 1x32x32 as blocks to scale: 2 convolutions, 61,706 parameters' in html
    )
    assert 'class="long"' not in html
    assert 'class="long"' in live_pages.shown("resnet20", "../live")


def test_a_recipe_without_a_result_is_not_measured_yet(tmp_path: Path) -> None:
    import measured

    (line,) = measured.rows("r2-resnet50-layer4", tmp_path)
    assert line == ("`r2-resnet50-layer4`", "not measured yet", "0.8156", "62", "", "")


def test_results_are_read_as_they_are(tmp_path: Path) -> None:
    import measured

    def result(**changes: Any) -> dict[str, Any]:
        seed = {"ways": [{"tta": "flip"}], "ways_accuracy": [0.5678]}
        hardware = {"cores": 2, "gpu": None}
        known = {"test_accuracy": 0.51239, "runs": 1, "epochs": 30, "reported": None, "data": "x/digits"}
        return {**known, "hardware": hardware, "by_seed": [seed], **changes}

    runs = {"r7-convnet3": result(), "r7-convnet3, wide": result(runs=3, reported={"test_accuracy": 0.9})}
    (tmp_path / "r7-convnet3.json").write_text(json.dumps(runs))
    one, other = measured.rows("r7-convnet3", tmp_path)
    assert one == ("`r7-convnet3`", "0.5124; flip 0.5678", "-", "30", "digits", "2 processor cores")
    assert other[:3] == ("`r7-convnet3`, wide", "mean 0.5124, 3 seeds; flip 0.5678", "0.9000")
    part = {"ways": [], "ways_accuracy": [], "limit": 2000, "train_pictures": 1800}
    (tmp_path / "r7-convnet3.json").write_text(json.dumps({"r7-convnet3": result(by_seed=[part])}))
    assert measured.rows("r7-convnet3", tmp_path)[0][4] == "digits, 1,800 to train on"


def test_each_way_to_test_a_net_has_its_line(tmp_path: Path) -> None:
    import measured

    ways = [line for line in measured.rows("r3-vgg-testing") if line[0].startswith("dense")]
    assert [line[0] for line in ways] == [
        "dense, side 32",
        "dense, side 40",
        "dense, side 48",
        "dense, sides 32, 40 and 48",
    ]
    grown = measured.rows("r3-vgg-grown")
    assert len(grown) == 2 and grown[1][1].startswith("not tested; validation accuracy 0.")


def test_every_result_can_be_shown() -> None:
    import measured

    names = [path.stem for path in measured.RESULTS.glob("*.json")]
    assert "r8-lenet5-digits" in names
    assert measured.table(names).count("\n") > len(names)
