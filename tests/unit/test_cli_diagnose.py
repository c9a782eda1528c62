"""``smallnets diagnose``: nets of the zoo, of a file and of a run; its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import smallnets as sn
from smallnets.cli import main

FILE = """
from torch import nn
from beside import WIDTH


class Net(nn.Module):
    def __init__(self, width=WIDTH, end=False):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
        self.end = nn.Softmax(1) if end else nn.Identity()

    def forward(self, x):
        return self.end(self.body(x))


class Needs(nn.Module):
    def __init__(self, something):
        super().__init__()


def maker():
    return Net(end=True)


def number():
    return 3
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["diagnose", *arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 16\n")
    (tmp_path / "my_nets.py").write_text(FILE)
    return tmp_path / "my_nets.py"


def test_a_net_of_the_zoo(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "net.html"
    code, out, err = run("resnet20", "--set", "shortcut=C", "--html", str(page), "--json", str(tmp_path / "net.json"))
    assert (code, err) == (1, "")
    assert out.startswith("resnet20 on 3x32x32: 1 warning") and "shortcut-always-projects at layer1.0" in out
    assert "shortcut-always-projects" in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "net.json").read_text())["findings"][0]["severity"] == "warning"
    assert run("lenet5", "--classes", "3")[0] == 0


def test_a_net_of_a_file(run: Run, file: Path) -> None:
    sized = ("--input", "3,8,8", "--classes", "10")
    assert run(f"{file}:Net", *sized)[0] == 0
    code, out, _ = run(f"{file}:Net", *sized, "--set", "end=true", "--set", "width=8")
    assert code == 1 and "error: output-softmax at end" in out
    code, out, _ = run(f"{file}:maker", *sized, "--json", "-")
    assert code == 1 and json.loads(out)["model"] == "Net"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("", "expected FILE.py:Class; got 2 nets in my_nets.py (Net, Needs). Name one:"),
        (":Nett", "got no 'Nett' in my_nets.py. Did you mean 'Net'?"),
        (":Needs", "expected Needs() of my_nets.py to make a net; got TypeError:"),
        (":number", "expected number of my_nets.py to be a net; got a int."),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(run: Run, file: Path, what: str, told: str) -> None:
    code, out, err = run(f"{file}{what}", "--input", "3,8,8")
    assert (code, out) == (2, "") and told in err and err.count("\n") == 1


def test_a_broken_or_missing_file_and_an_unknown_net(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nx.nothing\n")
    assert (
        "expected broken.py to run; got AttributeError: 'int' object has no attribute 'nothing', line 2."
        in (run(f"{tmp_path / 'broken.py'}:Net")[2])
    )
    assert "expected a Python file, FILE.py:Class; got 'nowhere.py'" in run("nowhere.py")[2]
    assert run("resnet21")[0] == 2
    assert "C,H,W" in run("resnet20", "--input", "32")[2]


def test_the_net_of_a_run(run: Run, tmp_path: Path) -> None:
    digits = sn.data.load("digits")[:64]
    sn.fit(sn.lenet5(), digits, epochs=1, run_dir=tmp_path / "run", progress=False)
    code, out, err = run(str(tmp_path / "run"))
    assert (code, err) == (0, "") and out.startswith("lenet5 on 1x32x32")
    assert run(str(tmp_path / "run"), "--set", "x=1")[0] == 2
    assert run(str(tmp_path))[0] == 2


def test_its_help_says_that_a_file_is_run(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0 and "A file of yours is run" in out
