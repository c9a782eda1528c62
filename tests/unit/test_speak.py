"""Whatever has become of stdout and stderr, what was to be said is never worth an error, and never an epoch."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.speak import say


class Dead(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Any] = {"none": lambda: None, "dead": Dead, "closed": closed, "odd": object}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_run_goes_on_without_stderr(stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    history = sn.fit(sn.lenet5(), data, epochs=2, run_dir=tmp_path, device="cpu")
    assert len(history) == 2
    assert sn.evaluate(sn.lenet5(), data, progress=True).n == 8
    assert len(sn.predict(sn.lenet5(), data[0], progress=True)) == 8


def test_letters_that_an_encoding_has_not_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("caf\u00e9 \u732b \x1b[31m \udcff", "stdout")
    assert raw.getvalue() == b"caf\\xe9 \\u732b \\x1b[31m \\udcff\n"


def test_an_epoch_is_saved_before_a_callback_fails(tmp_path: Path) -> None:
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10

    def tell(_: object) -> None:
        raise BrokenPipeError

    how: dict[str, Any] = {"epochs": 2, "run_dir": tmp_path, "progress": False, "deterministic": True}
    with pytest.raises(BrokenPipeError):
        sn.fit(sn.lenet5(), data, callbacks=[tell], **how)
    rows: list[int] = []
    sn.fit(sn.lenet5(), data, callbacks=[lambda row: rows.append(row["epoch"])], **how)
    assert rows == [2]


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize("ending", ["| head -1", ">&- 2>&-", "2>&1 | true"])
def test_the_command_line_goes_on_without_its_streams(ending: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = f"--data digits --epochs 2 --limit 40 --test none --run-dir {run} --device cpu --deterministic"
    command = f"{sys.executable} -m smallnets fit lenet5 {options} {ending}"
    done = subprocess.run(command, check=False, shell=True, capture_output=True, text=True, timeout=300)
    assert (run / "report.json").exists(), done.stderr
    assert len((run / "metrics.csv").read_text().splitlines()) == 3
    assert "Error" not in done.stderr and "Traceback" not in done.stderr


def test_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 7.0)
    monkeypatch.setattr("time.monotonic", lambda: 7.0)
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10
    history = sn.fit(sn.lenet5(), data, epochs=2, progress=False, device="cpu")
    assert history["seconds"] == [0.0, 0.0]


@pytest.mark.parametrize("run_dir", ["~nosuchuser/run", "a\0b", "", b"run", 7, "x" * 5000])
def test_a_run_folder_that_cannot_be(run_dir: Any) -> None:
    data = torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10
    with pytest.raises(
        sn.SmallnetsError, match=r"^fit: expected (run_dir to be a path|to make the run folder)"
    ) as caught:
        sn.fit(sn.lenet5(), data, epochs=1, run_dir=run_dir, progress=False)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("below", ["", "run", "a/b/run"])
def test_a_file_where_the_run_folder_would_be(tmp_path: Path, below: str) -> None:
    (file := tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(sn.RunError, match=r"run_dir to be a folder; got the file .*notes\.txt\. Give another"):
        sn.fit(sn.lenet5(), (torch.rand(8, 1, 32, 32), torch.arange(8) % 10), run_dir=file / below, progress=False)
    assert file.read_text() == "mine"
    said: list[str] = []
    with pytest.raises(sn.RunError, match="the file"):  # before a picture is read
        sn.run_recipe("r8-lenet5-digits", "digits", file / below, say=said.append)
    assert said == []


def test_home_is_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sn.FitOptions(run_dir="~/run").run_dir == str(tmp_path / "run")
