"""Many processes do what one does: real ones, on gloo."""

import json
import os
import re
import shutil
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
LONG_FIT = ("-m", "smallnets", "fit", "lenet5", "--data", "digits", "--epochs", "500", "--run-dir")


def torchrun(processes: int, *command: str) -> subprocess.Popen[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *command]
    return subprocess.Popen(start, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_saved(process: subprocess.Popen[str], run_dir: Path) -> None:
    """Wait for the first checkpoint of a run that nothing else ends."""
    while not (run_dir / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


@pytest.fixture(scope="module")
def alone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, str(SUBJECT), "alone", str(folder)], env=CALM, check=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def alone(alone_folder: Path) -> dict[str, Any]:
    return told(alone_folder)


@pytest.fixture(scope="module")
def two_folder(tmp_path_factory: pytest.TempPathFactory, alone_folder: Path) -> Path:
    """Where two processes trained, went on with what one had begun, and at last one of them died."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(alone_folder / "stopped", folder / "stopped")
    process = torchrun(2, str(SUBJECT), "two", str(folder))
    out, errors = process.communicate(timeout=240)
    assert process.returncode != 0 and (folder / "death").exists(), errors[-3000:]
    (folder / "out").write_text(out)
    return folder


@pytest.fixture(scope="module")
def two(two_folder: Path) -> dict[str, Any]:
    return told(two_folder)


def test_the_loss_curve_is_that_of_one_process(alone: dict[str, Any], two: dict[str, Any]) -> None:
    assert two["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert two["val"] == pytest.approx(alone["val"], rel=1e-3)


def test_the_loss_of_an_epoch_is_that_of_all_with_weights_of_classes(
    alone: dict[str, Any], two: dict[str, Any]
) -> None:
    for found, expected in (alone["weighted"], two["weighted"]):
        assert found == pytest.approx(expected, rel=1e-5)


def test_an_update_with_weights_of_classes_is_that_of_one_big_batch(alone: dict[str, Any], two: dict[str, Any]) -> None:
    assert alone["taught"] < 1e-6 and two["taught"] < 1e-6


def test_every_sample_is_seen_once(alone: dict[str, Any], two: dict[str, Any]) -> None:
    assert alone["seen"] == two["seen"] == list(range(203))


def test_all_processes_hold_one_net_batch_norms_included(two: dict[str, Any]) -> None:
    first, second = two["weights"]
    assert first == second and two["normed"][0] == two["normed"][1]


def test_a_run_may_go_on_with_another_number_of_processes(
    alone_folder: Path, alone: dict[str, Any], two: dict[str, Any]
) -> None:
    begun = torch.load(alone_folder / "stopped" / "last.ckpt", weights_only=True)["progress"]
    assert (begun["epoch"], begun["step"]) == (0, 6)  # of 8: in the middle of the first epoch
    assert two["gone_on"] == pytest.approx(alone["losses"], rel=1e-3)


def test_parameters_without_a_part_in_the_loss_are_named(two: dict[str, Any]) -> None:
    """In one sentence, after the first step: DDP itself says it, without names, at the second."""
    assert two["refused"] == (
        "fit: expected a part in the loss for every parameter, under torchrun; got none for idle.weight, idle.bias. "
        "Freeze them: requires_grad_(False)."
    )


def test_the_leader_alone_writes_for_tensorboard(two_folder: Path) -> None:
    assert [path.name for path in (two_folder / "run").glob("board-of-*")] == ["board-of-0"]


def test_one_death_ends_all_in_seconds_with_one_message(two_folder: Path) -> None:
    died, noticed = (float((two_folder / name).read_text()) for name in ("death", "noticed"))
    assert noticed - died < 30
    said = (two_folder / "out").read_text()
    assert said.count("told: fit: expected all 2 processes to go on; got lost the connection to one") == 1


def test_the_command_line_under_torchrun(tmp_path: Path) -> None:
    command = ("-m", "smallnets", "fit", "lenet5", "--data", "digits", "--epochs", "2", "--run-dir", str(tmp_path))
    process = torchrun(2, *command)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    assert out.count("test accuracy") == 1 and (tmp_path / "report.json").exists()
    assert errors.count("epoch 2/2") == 1


def test_three_measure_as_one_does_and_one_killed_is_one_line(
    tmp_path: Path, alone: dict[str, Any], two: dict[str, Any]
) -> None:
    """Measuring is equal to the last digit; and what both that are left would say alike, one says."""
    process = torchrun(3, str(SUBJECT), "measure-and-fit", str(tmp_path))
    until_saved(process, tmp_path / "run")
    assert told(tmp_path)["measured"] == alone["measured"] == two["measured"]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(children[1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - began < 30
    lines = [line for line in errors.splitlines() if line.startswith("smallnets: ")]
    assert len(lines) == 1 and "expected all 3 processes to go on; got lost the connection to one" in lines[0]


@pytest.mark.slow
def test_sigterm_to_torchrun_saves_at_the_next_step(tmp_path: Path) -> None:
    process = torchrun(2, *LONG_FIT, str(tmp_path))
    until_saved(process, tmp_path)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    step = int(re.findall(r"after step (\d+); saved to", errors)[0])
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["progress"]["step"] == step
