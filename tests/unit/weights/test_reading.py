"""Files from outside: whole, torn, of another format, hostile."""

import argparse
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import smallnets as sn


@pytest.fixture(scope="module")
def trained() -> sn.LeNet:
    return sn.lenet5()


def same(net: nn.Module, other: nn.Module) -> bool:
    mine, theirs = net.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("ending", ["pt", "pth", "ckpt", "pth.tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_pytorch_saved_is_read(tmp_path: Path, trained: sn.LeNet, ending: str, zipped: bool) -> None:
    path = tmp_path / f"net.{ending}"
    torch.save(trained.state_dict(), path, _use_new_zipfile_serialization=zipped)
    net = sn.lenet5()
    sn.load_weights(net, path)
    assert same(net, trained)


@pytest.mark.parametrize("as_text", [True, False])
def test_safetensors_are_read(tmp_path: Path, trained: sn.LeNet, as_text: bool) -> None:
    path = tmp_path / "net.safetensors"
    save_file(trained.state_dict(), path)
    net = sn.lenet5()
    sn.load_weights(net, str(path) if as_text else path)
    assert same(net, trained)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_our_reader_agrees_with_the_package(tmp_path: Path, dtype: torch.dtype) -> None:
    from smallnets.weights.safetensor_files import read_safetensors

    tensors = {
        "map": torch.arange(60).reshape(3, 4, 5).to(dtype),
        "scalar": torch.tensor(1).to(dtype),
        "empty": torch.empty(0, 3, dtype=dtype),
        "large": torch.randn(5_000_000).to(dtype),  # more than one chunk, and an odd rest
    }
    path = tmp_path / "some.safetensors"
    save_file(tensors, path, {"note": "kept"})
    found, metadata = read_safetensors(path)
    expected = load_file(path)
    assert metadata == {"note": "kept"}
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_tensors_are_in_memory_and_not_in_the_file(tmp_path: Path, trained: sn.LeNet) -> None:
    for name in ("net.safetensors", "net.pt"):
        path = tmp_path / name
        (save_file if path.suffix == ".safetensors" else torch.save)(trained.state_dict(), path)
        net = sn.lenet5(weights=path)
        path.write_bytes(b"\0" * path.stat().st_size)  # a mapped file would show through
        with path.open("r+b") as file:
            file.truncate(0)  # and a mapped one would now crash
        assert same(net, trained)


class Hostile:
    """A pickle that leaves a trace when something runs it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False, None])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path, zipped: bool | None) -> None:
    trace, path = tmp_path / "it-ran", tmp_path / "hostile.pt"
    content = {"features.0.weight": torch.zeros(6, 1, 5, 5), "epoch": Hostile(trace)}
    if zipped is None:
        path.write_bytes(pickle.dumps(content, protocol=4))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    net = sn.lenet5()
    before = [value.clone() for value in net.state_dict().values()]
    with pytest.raises(sn.WeightsError) as caught:
        sn.load_weights(net, path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, old) for value, old in zip(net.state_dict().values(), before, strict=True))
    if zipped is not None:
        assert str(caught.value) == (
            "hostile.pt: expected a whole PyTorch checkpoint of tensors; got a pickle that calls posix.mkdir, which "
            "was not run. Ask its author for a state dict or a safetensors file."
        )
    # The file does what it threatens where nobody looks.
    torch.load(path, weights_only=False) if zipped is not None else pickle.loads(path.read_bytes())
    assert trace.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "module.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(sn.WeightsError, match=r"a pickle that calls torch\.nn\.modules\.linear\.Linear, which was not"):
        sn.load_weights(sn.lenet5(), path)


def test_what_training_scripts_leave_beside_the_weights_is_no_obstacle(tmp_path: Path, trained: sn.LeNet) -> None:
    path = tmp_path / "run.ckpt"
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9)
    content = {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
        "best_prec1": np.float64(91.5),
        "random_state": np.random.default_rng(0).random(3, dtype=np.float32),
        "folder": Path("runs/1"),
        "optimizer": optimizer.state_dict(),
        "state_dict": trained.state_dict(),
    }
    torch.save(content, path)
    net = sn.lenet5()
    assert sn.load_weights(net, path) == "lenet5: 10 entries from run.ckpt; taken out of 'state_dict'"
    assert same(net, trained)


def test_numpys_classes_in_a_file_are_not_run_either(tmp_path: Path) -> None:
    from smallnets.weights.pickles import Ignored, read_pickle

    torch.save({"array": np.zeros(3), "scalar": np.float32(1), "dtype": np.dtype("O")}, tmp_path / "net.pt")
    found = read_pickle(tmp_path / "net.pt")
    assert isinstance(found, dict)
    assert {type(value) for value in found.values()} == {Ignored}


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 0.5, -1])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_torn_files_give_one_clear_line(tmp_path: Path, trained: sn.LeNet, kind: str, kept: float) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    if kind == "safetensors":
        save_file(trained.state_dict(), path)
    else:
        torch.save(trained.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(
        sn.WeightsError, match=rf"^{path.name}: expected a whole .*; got .*\. Copy or download"
    ) as caught:
        sn.load_weights(sn.lenet5(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors", "net.jpg"])
@pytest.mark.parametrize(
    "content", [b"<!doctype html><html>404 not found</html>", b"\x89PNG\r\n\x1a\n" * 50, b"PK\3\4x"]
)
def test_files_of_another_format_give_one_clear_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(sn.WeightsError, match=rf"^{name}: expected a whole ") as caught:
        sn.load_weights(sn.lenet5(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": 2}},
        {"a": 3},
        [1, 2],
    ],
)
def test_a_safetensors_header_is_not_believed(tmp_path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 8)
    with pytest.raises(sn.WeightsError, match=r"^net\.safetensors: expected a whole safetensors file; got "):
        sn.load_weights(sn.lenet5(), path)


def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/version", b"3\n")
    with pytest.raises(sn.WeightsError, match=r"^net\.pt: expected a whole PyTorch checkpoint of tensors; got "):
        sn.load_weights(sn.lenet5(), path)


def test_a_file_that_is_not_there_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "lenet.pt").touch()
    with pytest.raises(sn.WeightsError, match=r"lenet5\.pt: expected a file with weights; got no such file\. Did you"):
        sn.load_weights(sn.lenet5(), tmp_path / "lenet5.pt")
    with pytest.raises(sn.WeightsError, match=r"expected a file with weights; got a folder"):
        sn.load_weights(sn.lenet5(), tmp_path)
    with pytest.raises(sn.WeightsError, match=r"expected a file with weights; got no such file"):
        sn.load_weights(sn.lenet5(), "x" * 5000 + ".pt")


def test_an_exported_program_is_no_torn_checkpoint(tmp_path: Path) -> None:
    for name in ("net.pt2", "net.onnx"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and more")
        with pytest.raises(sn.WeightsError, match=f"^{name}: expected a file of weights; got an exported program"):
            sn.load_weights(sn.lenet5(), tmp_path / name)


@pytest.mark.parametrize("source", [3, None, [torch.zeros(1)], nn.Linear(1, 1)])
def test_other_sources_are_refused(source: Any) -> None:
    with pytest.raises(sn.WeightsError, match=r"^load_weights: expected a path, a state dict or a torchvision weights"):
        sn.load_weights(sn.lenet5(), source)


def test_what_is_no_model_is_refused() -> None:
    state: Any = sn.lenet5().state_dict()
    with pytest.raises(sn.OptionError, match="expected a model to load into; got a OrderedDict"):
        sn.load_weights(state, state)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "lr": 0.1}, {}, 7])
def test_a_checkpoint_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "net.pt"
    torch.save(content, path)
    with pytest.raises(sn.WeightsError, match=r"^net\.pt: expected tensors by name"):
        sn.load_weights(sn.lenet5(), path)
