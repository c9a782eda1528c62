"""The example scripts run, on tiny inputs, and do what they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

import smallnets as sn

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("net", ["resnet18", "resnet20", "alexnet"])
def test_fpn(net: str) -> None:
    levels = example("fpn").main(["--net", net, "--side", "64"])
    assert {value.shape[1] for value in levels.values()} == {256}


def test_faster_rcnn_takes_one_training_step_and_one_inference(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("faster_rcnn")
    loss, found = module.main(["--side", "64"])
    assert 0 < loss < 10
    assert found[0]["boxes"].shape[1] == 4
    assert "step 1: loss" in capsys.readouterr().out
    model = module.detector(sn.resnet18(), 64)
    before = model.backbone.body.body.conv1.weight.detach().clone()
    losses = model.train()(*module.squares(2, 64, torch.Generator().manual_seed(0)))
    sum(losses.values()).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(model.backbone.body.body.conv1.weight, before)


@pytest.mark.parametrize("net", ["resnet20", "vgg11"])
def test_segmentation_learns(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    losses = example("segmentation").main(["--net", net, "--side", "32", "--steps", "8"])
    assert losses[-1] < losses[0]
    assert "intersection over union" in capsys.readouterr().out


def test_style_transfer_lowers_its_loss_and_writes_a_picture(tmp_path: Path) -> None:
    module = example("style_transfer")
    losses = module.main(["--side", "32", "--steps", "6", "--out", str(tmp_path / "styled.png")])
    assert losses[-1] < losses[0]
    picture = str(tmp_path / "styled.png")
    again = module.main(["--side", "32", "--steps", "2", "--content", picture, "--style", picture])
    assert len(again) == 2


def test_transfer_beats_training_from_scratch() -> None:
    pytest.importorskip("sklearn")
    transferred, scratch = example("transfer_digits").main([])
    assert transferred > scratch
    assert transferred > 0.85
