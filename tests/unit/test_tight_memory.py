"""Where there is too little memory, one sentence says so: no file is called torn for it, and nothing is half-done."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import smallnets as sn

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="address space is read from /proc")

SCRIPT = """
import contextlib, io, resource, sys, torch
from pathlib import Path
import smallnets as sn
from smallnets.cli import main
from smallnets.data import load
from smallnets.training.checkpoint.files import read_checkpoint

folder = sys.argv[1]
torch.set_num_threads(1)
net = sn.vgg16(num_classes=10, head="linear")
before = {name: value.clone() for name, value in net.state_dict().items()}
load("digits", "test"), sn.predict(sn.lenet5(weights="digits"), torch.zeros(1, 1, 32, 32, dtype=torch.uint8))
fit = ["fit", "vgg16", "--data", folder + "/pictures", "--size", "700", "--run-dir", folder + "/run"]
ways = [
    lambda: sn.load(folder + "/net.safetensors"),
    lambda: sn.vgg16(weights=folder + "/net.pt", num_classes=10, head="linear"),
    lambda: sn.load_weights(net, folder + "/old.pt"),
    lambda: read_checkpoint(Path(folder + "/net.pt")),
    lambda: load("digits", size=400),
    lambda: load(folder + "/pictures", size=700),
    lambda: sn.predict(net, torch.zeros(64, 3, 128, 128), batch_size=64),
    lambda: main(fit),
]
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
for way in ways:
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (24 << 20), hard))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            told = f"given {type(way()).__name__}"
    except sn.SmallnetsError as error:
        told = f"{isinstance(error, MemoryError)} {error}"
    except SystemExit as error:
        told = f"{error.code} {said.getvalue().strip()}"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, hard))
    print(told)
assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
"""
SAID = [
    "True net.safetensors: expected memory for its tensors; got too little.",
    "True net.pt: expected memory for its",
    "True old.pt: expected memory for its",
    "True smallnets: expected memory for the checkpoint",
    "True load: expected memory for the pictures of 'digits'; got too little. Give a smaller size=",
    ("True load: expected memory for the pictures of", "given ImageStream"),
    "True predict: expected memory for 64 pictures at a time; got too little. Take a smaller batch_size.",
    ("2 smallnets: load: expected memory", "2 smallnets: fit: expected a batch", "2 smallnets: vgg16: expected sizes"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    place = tmp_path_factory.mktemp("large")
    net = sn.vgg16(num_classes=10, head="linear")
    sn.save(net, place / "net.safetensors")
    torch.save(net.state_dict(), place / "net.pt")
    torch.save(net.state_dict(), place / "old.pt", _use_new_zipfile_serialization=False)
    for number in range(60):
        kind = place / "pictures" / "train" / "ab"[number % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("L", (700, 700), number).save(kind / f"{number}.png")
    return place


def test_memory_is_told_in_one_line_and_nothing_is_half_done(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], check=False, capture_output=True, text=True, timeout=500
    )
    assert found.returncode == 0, found.stderr[-2000:]
    lines = found.stdout.splitlines()
    assert len(lines) == len(SAID), found.stdout
    for line, text in zip(lines, SAID, strict=True):
        assert line.startswith(text) and ("memory" in line or "given" in line)
    assert not list((folder / "run").glob("*.ckpt"))
