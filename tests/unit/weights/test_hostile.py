"""Files that mean harm or were harmed: memory is bounded by what is asked for, damage is told, nothing hangs."""

import codecs
import json
import os
import pickle
import random
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import smallnets as sn

needs_posix = pytest.mark.skipif(os.name != "posix", reason="a POSIX call")


def safetensors_file(path: Path, header: str, data: bytes) -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + data)
    return path


def entry(begin: int, end: int) -> str:
    return json.dumps({"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]})


@pytest.mark.parametrize(
    "header",
    [
        f'{{"a": {entry(0, 8)}, "a": {entry(0, 8)}}}',
        f'{{"a": {entry(0, 4)}, "a": {entry(4, 8)}}}',
        f'{{"a": {entry(0, 8)}, "b": {entry(0, 8)}}}',
        f'{{"a": {entry(0, 8)}, "b": {entry(4, 8)}}}',
        f'{{"b": {entry(4, 8)}}}',
        f'{{"__metadata__": {{"x": "1", "x": "2"}}, "a": {entry(0, 8)}}}',
    ],
)
def test_entries_that_overlap_or_come_twice_are_refused(tmp_path: Path, header: str) -> None:
    path = safetensors_file(tmp_path / "net.safetensors", header, bytes(8))
    with pytest.raises(sn.WeightsError, match=r"^net\.safetensors: expected a whole safetensors file; got ") as caught:
        sn.load_weights(sn.lenet5(), path)
    assert len(str(caught.value)) < 300


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def growing(times: int) -> Any:
    found: Any = Calls(codecs.encode, "a" * 1000, "latin1")
    for _ in range(times):
        found = Calls(codecs.encode, found, "hex")
    return found


BOMBS = {"zeros": lambda: Calls(bytearray, 20_000_000_000), "hex": lambda: growing(30)}


@needs_posix
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", BOMBS)
def test_a_pickle_bomb_does_not_go_off(tmp_path: Path, kind: str, zipped: bool) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(1), "bomb": BOMBS[kind]()}, path, _use_new_zipfile_serialization=zipped)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(sn.WeightsError, match=r"a pickle that calls (builtins\.bytearray|_codecs\.encode), which was"):
        sn.load_weights(sn.lenet5(), path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_what_numpy_leaves_in_a_checkpoint_is_no_bomb(tmp_path: Path) -> None:
    net = sn.lenet5()
    content = {
        "model": net.state_dict(),
        "random": np.random.default_rng(0).bytes(100),
        "codec": "hex",
        "best": np.float32(1),
    }
    torch.save(content | {"array": np.arange(1000)}, tmp_path / "net.pt")
    content.pop("codec")
    torch.save(content | {"array": np.arange(1000)}, tmp_path / "other.pt")
    sn.load_weights(sn.lenet5(), tmp_path / "other.pt")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_packed_entries_is_refused_before_it_is_unpacked(tmp_path: Path, method: int) -> None:
    torch.save(sn.lenet5().state_dict(), tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.pt") as whole, zipfile.ZipFile(tmp_path / "packed.pt", "w", method) as packed:
        for item in whole.infolist():
            packed.writestr(item.filename, whole.read(item))
    with pytest.raises(sn.WeightsError, match=r"as PyTorch writes it; got compressed entries, first .*Save it again"):
        sn.load_weights(sn.lenet5(), tmp_path / "packed.pt")


@needs_posix
def test_only_what_the_net_takes_is_read_into_memory(tmp_path: Path) -> None:
    net = sn.lenet5()
    large = {"net": net.state_dict(), "optimizer": {"large": torch.zeros(100_000_000)}}
    torch.save(large, tmp_path / "run.pt")
    save_file({**net.state_dict(), "beside.large": torch.zeros(100_000_000)}, tmp_path / "net.safetensors")
    del large
    program = (
        "import sys, resource, smallnets as sn\n"
        "net = sn.lenet5()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "sn.load_weights(net, sys.argv[1], head='reset')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    for name in ("run.pt", "net.safetensors"):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert int(shown) < 100_000, name  # kB, of 400,000


@needs_posix
@pytest.mark.parametrize(
    "start", [b"", b"\x80\x02X\xff\xff\xff\xff", b"PK\3\4", b"\xff\xff\xff\xff\0\0\0\0", b"\x80\x02("]
)
@pytest.mark.parametrize("ending", ["pt", "safetensors", "ckpt"])
def test_a_huge_file_of_nothing_is_not_read_whole(tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"net.{ending}"
    path.write_bytes(start)
    os.truncate(path, 1 << 40)  # a terabyte that takes no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(sn.WeightsError, match=rf"^net\.{ending}: expected a whole ") as caught:
        sn.load_weights(sn.lenet5(), path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB
    assert len(str(caught.value)) < 300


def test_names_from_a_file_are_shown_as_a_terminal_may_see_them() -> None:
    with pytest.raises(sn.WeightsError, match=r"\\x1b\[2J") as caught:
        sn.load_weights(sn.lenet5(), {"\x1b[2J\x1b]0;gone\x07" + "x" * 1000: torch.zeros(1)})
    assert "\x1b" not in str(caught.value)
    assert all(len(line) < 300 for line in str(caught.value).splitlines())


def test_a_tensor_that_claims_to_be_large_is_never_made(tmp_path: Path) -> None:
    state = dict(sn.lenet5().state_dict())
    state["classifier.4.bias"] = torch.zeros(1).expand(10**12)
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(sn.WeightsError, match=r"first classifier\.4\.bias\. Nothing"):
        sn.load_weights(sn.lenet5(), tmp_path / "net.pt")


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": [10**9, 64, 128]},
        {"channels": [10**9, 10**9, 10**9]},
        {"hidden": [10**10]},
        {"hidden": [10**30]},
        {"in_channels": 10**9},
        {"num_classes": 10**9},
        {"input_size": 10**6},
        {"kernel_size": 10**5},
    ],
)
def test_a_config_of_giants_is_refused_without_their_memory(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "net.safetensors"
    net = sn.convnet3()
    sn.save(net, path)
    tensors = load_file(path)
    about = {"config": {**net.config, **changes}, "format": 1, "dtype": "float32"}
    save_file(tensors, path, {"smallnets": json.dumps(about)})
    with pytest.raises(sn.WeightsError, match="expected the config of a net; got one that cannot be built") as caught:
        sn.load(path)
    assert len(str(caught.value)) < 400


def test_every_flipped_bit_of_our_own_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    sn.save(sn.lenet5(), path, classes=[*"0123456789"], accuracy=0.75)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    draw = random.Random(0)
    bits = [*draw.sample(range(8 * header), 300), *draw.sample(range(8 * header, 8 * len(whole)), 100)]
    for place in bits:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        for read in (sn.load, lambda file: sn.load_weights(sn.lenet5(), file)):
            with pytest.raises(sn.WeightsError) as caught:
                read(path)
            assert "\n" not in str(caught.value), place
    path.write_bytes(whole)
    assert sn.load(path).metadata["accuracy"] == 0.75


def test_a_changed_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    sn.save(sn.lenet5(), path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(sn.WeightsError) as caught:
        sn.load(path)
    assert str(caught.value) == (
        "net.safetensors: expected a whole file, as it was written; got one whose digest is another. "
        "It was changed or damaged since: copy it again."
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["features.0.weight", "classifier.4.bias"])
def test_weights_that_are_no_numbers_are_told(tmp_path: Path, name: str, value: float) -> None:
    net = sn.lenet5()
    net.state_dict()[name].view(-1)[0] = value
    sn.save(net, tmp_path / "net.safetensors")
    for load in (
        lambda: sn.load_weights(sn.lenet5(), net.state_dict()),
        lambda: sn.lenet5(weights=net.state_dict()),
        lambda: sn.load(tmp_path / "net.safetensors"),
    ):
        with pytest.warns(UserWarning, match=rf"NaN or infinity in 1 entries of .*, first {name}") as caught:
            load()
        assert caught[0].filename == __file__


def test_large_numbers_in_half_precision_are_numbers() -> None:
    net = sn.lenet5().half()
    torch.nn.init.constant_(net.get_submodule("classifier.0").weight, 60_000)
    sn.load_weights(sn.lenet5().half(), net.state_dict())


@needs_posix
@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "socket", "loop", "user", "zero byte"])
@pytest.mark.parametrize("ending", ["pt", "safetensors", "ckpt"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, ending: str) -> None:
    import socket

    path: Any = tmp_path / f"net.{ending}"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.chdir(tmp_path)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path = f"~nosuchuser/net.{ending}" if kind == "user" else f"a\0b.{ending}"
    for read in (lambda: sn.load_weights(sn.lenet5(), path), lambda: sn.load(path)):
        with pytest.raises(sn.WeightsError) as caught:
            read()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("path", [None, 3, b"net.safetensors", ["net.safetensors"], object()])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(sn.WeightsError, match=r"^load: expected a path; got a "):
        sn.load(path)
    with pytest.raises(sn.WeightsError, match=r"^save: expected a path; got a "):
        sn.save(sn.lenet5(), path)


def test_a_pickle_that_never_ends_in_itself_is_walked_once(tmp_path: Path) -> None:
    net = sn.lenet5()
    content: dict[str, Any] = {"model": net.state_dict()}
    content["itself"] = content
    laughs: list[Any] = []
    for _ in range(60):
        laughs = [laughs, laughs]
    content["laughs"] = laughs
    sn.load_weights(sn.lenet5(), content)
    assert pickle.dumps(laughs)
