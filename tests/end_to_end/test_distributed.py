"""Many processes do what one does: real ones, on gloo."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

SUBJECT = Path(__file__).with_name("distributed_subject.py")
CALM = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run(folder: Path, processes: int, task: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    done = launch(folder, processes, task)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return told


def launch(folder: Path, processes: int, task: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*start, str(SUBJECT), task, str(folder)]
    return subprocess.run(command, env=CALM, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("alone"), 1, "train")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("two"), 2, "train")


def test_the_loss_curve_is_that_of_one_process(alone: dict[str, Any], two: dict[str, Any]) -> None:
    assert two["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert two["val"] == pytest.approx(alone["val"], rel=1e-3)


def test_every_sample_is_seen_once(alone: dict[str, Any], two: dict[str, Any]) -> None:
    assert alone["seen"] == two["seen"] == list(range(203))


def test_all_processes_hold_one_net_batch_norms_included(two: dict[str, Any]) -> None:
    first, second = two["weights"]
    assert first == second and two["normed"][0] == two["normed"][1]


def test_evaluation_is_equal_to_the_last_digit(tmp_path: Path) -> None:
    one, three = run(tmp_path / "1", 1, "evaluate"), run(tmp_path / "3", 3, "evaluate")
    assert one == three  # 359 pictures in batches of 50: eight batches, the last of nine pictures
    assert run(tmp_path / "2", 2, "evaluate") == one


def test_a_run_may_go_on_with_another_number_of_processes(tmp_path: Path, alone: dict[str, Any]) -> None:
    script = f"""
import torch, smallnets as sn
from smallnets.data import load
torch.set_num_threads(1); torch.manual_seed(0)
train, val = load("digits").split(0.1)
def stop(row):
    raise SystemExit(0)
sn.fit(sn.lenet5(), train[:500], val[:131], epochs=2, lr=3e-3, run_dir={str(tmp_path / "run")!r}, batch_size=64,
       progress=False, device="cpu", precision="fp32", channels_last=False, save_every=4, callbacks=[stop])
"""
    subprocess.run([sys.executable, "-c", script], env=CALM, check=True)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["progress"]["step"] == 8
    told = run(tmp_path, 2, "train")  # from the middle of the first epoch
    assert told["losses"] == pytest.approx(alone["losses"], rel=1e-3)


def test_the_command_line_under_torchrun(tmp_path: Path) -> None:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "smallnets"]
    command = [*start, "fit", "lenet5", "--data", "digits", "--epochs", "2", "--run-dir", str(tmp_path / "run")]
    done = subprocess.run(command, env=CALM, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("test accuracy") == 1 and (tmp_path / "run" / "report.json").exists()
    assert done.stderr.count("epoch 2/2") == 1


def test_one_death_ends_all_in_seconds_with_one_message(tmp_path: Path) -> None:
    began = time.monotonic()
    done = launch(tmp_path, 2, "die")
    assert done.returncode != 0 and time.monotonic() - began < 120  # start-up of two processes included
    assert done.stdout.count("told: fit: expected all 2 processes to go on; got lost the connection to one") == 1


def test_a_process_killed_among_three_is_one_line(tmp_path: Path) -> None:
    """What both others would say alike, one says."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", "-m", "smallnets"]
    command = [*start, "fit", "lenet5", "--data", "digits", "--epochs", "500", "--run-dir", str(tmp_path / "run")]
    process = subprocess.Popen(command, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(children[1]), signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - began < 30
    lines = [line for line in told.splitlines() if line.startswith("smallnets: ")]
    assert len(lines) == 1 and "expected all 3 processes to go on; got lost the connection to one" in lines[0]


@pytest.mark.slow
def test_sigterm_to_torchrun_saves_at_the_next_step(tmp_path: Path) -> None:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "smallnets"]
    command = [*start, "fit", "lenet5", "--data", "digits", "--epochs", "500", "--run-dir", str(tmp_path / "run")]
    process = subprocess.Popen(command, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, told = process.communicate(timeout=60)
    step = int(re.findall(r"after step (\d+); saved to", told)[0])
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["progress"]["step"] == step
