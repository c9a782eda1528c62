"""The example scripts run, on tiny inputs, and do what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

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


def test_a_net_is_served_without_pytorch(tmp_path: Path) -> None:
    """The example runs in a process where neither PyTorch nor smallnets can be imported."""
    for package in ("onnxruntime", "onnxscript", "sklearn"):
        pytest.importorskip(package)
    digits = sn.data.load("digits", "test")[:12]
    paths = [tmp_path / f"{number}.png" for number in range(len(digits))]
    for path, pixels, side in zip(paths, digits.images, range(32, 200, 14), strict=True):
        image = Image.fromarray(pixels[0].numpy()).resize((side, side), Image.Resampling.BICUBIC)
        image.convert("RGB").save(path)
    sn.export(sn.lenet5(weights="digits"), tmp_path / "net.onnx")
    code = (
        "import runpy, sys; sys.modules['torch'] = sys.modules['smallnets'] = None\n"
        f"sys.argv = ['serve', *{[str(tmp_path / 'net.onnx'), *map(str, paths)]!r}]\n"
        f"runpy.run_path({str(EXAMPLES / 'serve_onnx.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line.split("\t")[1] for line in done.stdout.splitlines()]
    right = sum(int(name) == label for name, label in zip(said, digits.labels.tolist(), strict=True))
    assert len(said) == 12 and right >= 11
