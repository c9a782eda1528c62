"""A run folder that somebody else made: nothing is fetched, nothing grows, one sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.experiments.runs import open_run, read_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10
    sn.fit(sn.lenet5(), data, epochs=1, run_dir=tmp_path / "run", progress=False, deterministic=True)
    return tmp_path / "run"


@pytest.mark.parametrize(
    "config",
    [
        {"weights": "DEFAULT"},
        {"weights": "/etc/passwd"},
        {"pretrained": True},
        {"num_classes": 10**9},
        {"num_classes": -1},
        {"name": "resnet1202"},
        {"name": ["x"]},
        {"name": "vgg", "cfg": [10**9]},
        {"more": "x" * 5000},
    ],
)
def test_a_config_fetches_nothing_and_asks_for_no_memory(config: dict[str, Any], folder: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        content = torch.load(folder / name, weights_only=True)
        content["net"]["config"] |= config
        torch.save(content, folder / name)
    for read in (open_run, sn.load):
        with pytest.raises((sn.WeightsError, sn.RunError)) as caught:
            read(folder)
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10**5, "3"])
def test_a_broken_report_is_told(text: str, folder: Path) -> None:
    (folder / "report.json").write_text(text)
    with pytest.raises(sn.RunError, match=r"a report in .*; got a broken file .*Remove it"):
        read_report(folder)


@pytest.mark.parametrize("part", ["params", "state"])
def test_an_optimizer_that_was_changed_is_told(part: str, folder: Path) -> None:
    content = torch.load(folder / "last.ckpt", weights_only=True)
    content["optimizer"] = {"state": {"x": 3}} if part == "params" else {**content["optimizer"], "state": {0: 7}}
    torch.save(content, folder / "last.ckpt")
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10
    how: dict[str, Any] = {"progress": False, "deterministic": True, "resume": "changed"}
    with pytest.raises(sn.SmallnetsError) as caught:
        sn.fit(sn.lenet5(), data, epochs=2, run_dir=folder, **how)
    assert len(str(caught.value)) < 300
