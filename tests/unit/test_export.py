"""An exported file answers as the net does, on pictures as they are, and says what it takes."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets.cli import main
from smallnets.exporting import export as module
from smallnets.exporting import formats

FACTS = sn.DataFacts(tuple("abcdefghij"), 3, (32, 32), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), "noise")


def some_net() -> nn.Module:
    """With statistics of its own, so that a norm that is folded wrongly shows."""
    torch.manual_seed(0)
    net = sn.convnet3()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    net.data_facts = FACTS
    return net


def pictures(count: int, channels: int = 3) -> Tensor:
    return torch.randint(
        0, 256, (count, channels, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def answers(path: Path, x: Tensor) -> Tensor:
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(x)
    session = pytest.importorskip("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"pictures": x.numpy()})[0])


@pytest.mark.parametrize("name", ["net.onnx", "net.pt2"])
@pytest.mark.parametrize("kind", ["uint8", "float", "normalised"])
def test_a_file_answers_as_predict_does(name: str, kind: Any, tmp_path: Path) -> None:
    if name.endswith("onnx"):
        pytest.importorskip("onnxscript")
    net, path, probabilities = some_net(), tmp_path / name, kind != "float"
    before = {key: value.clone() for key, value in net.state_dict().items()}
    sn.export(net, path, probabilities=probabilities, pictures=kind)
    assert net.training and all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    for count in (1, 2, 7):
        x = pictures(count)
        expected = sn.predict(net, x, precision="fp32").probabilities
        mean, std = torch.tensor(FACTS.mean).view(3, 1, 1), torch.tensor(FACTS.std).view(3, 1, 1)
        given = {"uint8": x, "float": x / 255, "normalised": (x / 255 - mean) / std}[kind]
        found = answers(path, given)
        torch.testing.assert_close(found if probabilities else found.softmax(1), expected, atol=1e-5, rtol=1e-4)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_an_onnx_file_says_what_it_takes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    sn.export(some_net(), tmp_path / "net.onnx")
    found = onnx.load(tmp_path / "net.onnx")
    about = {entry.key: json.loads(entry.value) for entry in found.metadata_props}
    assert about["classes"] == list("abcdefghij") and about["pictures"] == "uint8"
    assert about["shape"] == [3, 32, 32] and about["output"] == "probabilities"
    assert about["mean"] == list(FACTS.mean) and about["source"] == "noise"
    assert sn.build(**about["net"]).config == about["net"]
    assert "BatchNormalization" not in {node.op_type for node in found.graph.node}
    assert found.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_a_pt2_file_says_what_it_takes(tmp_path: Path) -> None:
    sn.export(some_net(), tmp_path / "net.pt2")
    extra = {"smallnets.json": ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    assert json.loads(extra["smallnets.json"])["classes"] == list("abcdefghij")


def test_a_safetensors_file_is_one_that_load_reads(tmp_path: Path) -> None:
    net = some_net()
    sn.export(net, tmp_path / "net.safetensors")
    loaded = sn.load(tmp_path / "net.safetensors")
    x = pictures(3)
    assert loaded.data_facts == FACTS
    assert torch.equal(sn.predict(loaded, x).labels, sn.predict(net, x).labels)


def test_a_module_that_cannot_be_traced_is_exported_as_it_is(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10)

        def forward(self, x: Tensor) -> Tensor:
            if x.shape[1] != 3:  # torch.fx cannot follow it
                raise ValueError
            return self.bn(self.conv(x)).mean((2, 3))

    net = Odd()
    net.data_facts = FACTS
    sn.export(net, tmp_path / "net.pt2")
    expected = sn.predict(net, pictures(4), precision="fp32").probabilities
    torch.testing.assert_close(answers(tmp_path / "net.pt2", pictures(4)), expected, atol=1e-5, rtol=1e-4)


def without_facts() -> nn.Module:
    return sn.lenet5()


def with_nan() -> nn.Module:
    net = sn.lenet5(weights="digits")
    nn.init.constant_(next(net.parameters()), float("nan"))
    return net


def of_other_channels() -> nn.Module:
    net = sn.lenet5()
    net.data_facts = FACTS.__class__(FACTS.classes, 1, (32, 32), FACTS.mean, FACTS.std)
    return net


def meta() -> nn.Module:
    with torch.device("meta"):
        return sn.lenet5()


REFUSED = [
    (without_facts, "net.pt2", {}, "a net that knows mean and std of its pictures"),
    (without_facts, "net.safetensors", {}, "a net that knows mean and std of its pictures"),
    (without_facts, "net.bin", {}, "a path that ends in .onnx, .pt2, .safetensors; got 'net.bin'"),
    (without_facts, "no/net.pt2", {}, "a folder to write to"),
    (without_facts, "net.pt2", {"pictures": "int"}, "pictures to be one of 'uint8', 'float', 'normalised'"),
    (with_nan, "net.pt2", {}, "a file that answers as the net does"),
    (of_other_channels, "net.pt2", {}, "a mean and a std for each channel; got 3 and 3 for 1"),
    (lambda: sn.lenet5(num_classes=0), "net.pt2", {"pictures": "normalised"}, "a net with classes"),
    (lambda: "lenet5", "net.pt2", {}, "a net; got a str"),
    (meta, "net.pt2", {}, "a net with values"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name", "options", "said"), REFUSED)
def test_what_is_missing_is_said_and_nothing_is_written(
    make: Any, name: str, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "net.pt2").write_text("old")
    with pytest.raises(sn.SmallnetsError) as caught:
        sn.export(make(), tmp_path / name, **options)
    assert said in str(caught.value)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"got no onnx\. pip install 'smallnets\[export\]'"):
        sn.export(some_net(), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a converter with a fault would write it."""

    def wrong(parts: Any) -> Any:
        content, run = formats.to_program(parts)
        return content, lambda x: run(x).roll(1, dims=1)

    monkeypatch.setitem(sys.modules["smallnets.exporting.export"].FORMATS, ".pt2", wrong)
    with pytest.raises(sn.RunError, match="a file that answers as the net does"):
        module(some_net(), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_the_command_line_exports_a_trained_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", "lenet5:digits", str(tmp_path / "net.pt2"), "--logits"])
    assert not caught.value.code and "bytes" in capsys.readouterr().out
    test = sn.data.load("digits", "test").images if "sklearn" in sys.modules else pictures(5, 1)
    expected = sn.predict("lenet5:digits", test, precision="fp32")
    assert torch.equal(answers(tmp_path / "net.pt2", test).argmax(1), expected.labels)
