"""The code blocks of a page in Markdown, and how they are run: top to bottom, in one folder, as a reader would.

- A ``python`` block is run; all of a page share their names.
- A ``python`` block with a ``:caption: train.py`` is that file.
- In a ``console`` block, lines behind ``$ `` are commands: ``smallnets`` runs in this process, ``python`` and ``torchrun`` in
  their own; ``pip``, ``git``, ``make`` and ``cd`` are left to the reader. Other lines are what a command prints.
- A ``text`` block behind ``% printed`` is what the block before it printed, long lines broken; a line ``...`` stands for any.
- ``% tested with: epochs=30 -> epochs=1`` before a block shortens it here; ``% not run: reason`` leaves it out. In a page that
  GitHub draws too, the same stands in ``<!-- -->``.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smallnets.cli import main as smallnets

FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,}|:{3,})(?P<language>\{[\w-]+\} ?[\w-]*|[\w+-]*) *\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$",
    flags=re.MULTILINE | re.DOTALL,
)
PRINTED = re.compile(r"^ *(?:% |<!-- ?)printed(?: ?-->)?$")
REMARK = re.compile(r"^ *(?:% |<!-- ?)(tested with|not run): (.*?)(?: ?-->)?$")
LEFT_OUT = ("pip", "git", "make", "cd", "hf", "uv")


@dataclass(frozen=True)
class Block:
    """One fenced block: its kind is "python", "file", "console" or "printed"."""

    kind: str
    code: str
    line: int
    caption: str | None = None
    not_run: str | None = None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that are code, in order."""
    text = page.read_text()
    found = []
    for fence in FENCE.finditer(text):
        language, body = fence["language"].strip(), fence["body"]
        language = re.sub(r"^\{(code-block|code)\} ?", "", language)
        line = text.count("\n", 0, fence.start()) + 1
        lines = [each.removeprefix(fence["indent"]) for each in body.splitlines()]
        if language == "text" and PRINTED.match(text[: fence.start()].rstrip("\n").rpartition("\n")[2]):
            found.append(Block("printed", "\n".join(lines), line))
        if language not in ("python", "console"):
            assert language not in ("py", "bash", "shell", "sh", "pycon"), f"{page}:{line}: say python or console"
            continue
        caption = None
        while lines and (option := re.match(r":(\w[\w-]*): ?(.*)", lines[0])):
            caption = option[2] if option[1] == "caption" else caption
            lines.pop(0)
        code, not_run = "\n".join(lines).strip("\n") + "\n", None
        for before in reversed(text[: fence.start()].rstrip("\n").split("\n")):
            if not (remark := REMARK.match(before)):
                break
            if remark[1] == "not run":
                not_run = remark[2]
            else:
                old, new = remark[2].split(" -> ")
                assert old in code, f"{page}:{line}: no {old!r} to be tested as {new!r}"
                code = code.replace(old, new)
        kind = "file" if language == "python" and caption else language
        found.append(Block(kind, code, line, caption, not_run))
    return found


def run(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run every block of a page in ``folder``, which is the working folder."""
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    capsys.readouterr()
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.not_run is not None:
            continue
        if block.kind == "file":
            assert block.caption is not None
            (folder / block.caption).write_text(block.code)
        elif block.kind == "printed":
            check_printed(printed, block.code, where)
        elif block.kind == "python":
            exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
            printed = capsys.readouterr().out
        else:
            printed = ""
            for command in re.findall(r"^\$ ((?:.*\\\n)*.*)$", block.code, flags=re.MULTILINE):
                printed += run_command(shlex.split(command.replace("\\\n", " "), comments=True), where, capsys)


def check_printed(printed: str, shown: str, where: str) -> None:
    """What a page shows as printed is what was printed, but for where lines are broken and for what ``...`` leaves out."""
    first, *lines = shown.strip("\n").split("\n")
    pattern = re.escape(first.rstrip())
    for line in lines:
        indent = re.escape(line[: len(line) - len(line.lstrip())])
        pattern += r"(?:\n.*)*" if line == "..." else rf"(?:\n{indent}| ){re.escape(line.strip())}"
    said = "\n".join(line.rstrip() for line in printed.strip("\n").split("\n"))
    assert re.fullmatch(pattern, said), f"{where}: the page shows\n{shown}\nand this was printed\n{printed}"


def run_command(words: list[str], where: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command as a reader would; gives what it printed."""
    program, *arguments = words
    if program in LEFT_OUT:
        return ""
    if program == "smallnets":
        with pytest.raises(SystemExit) as ended, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            smallnets()
        said = capsys.readouterr()
        assert ended.value.code in (0, None), f"{where}: {shlex.join(words)}\n{said.out}\n{said.err}"
        return said.out
    assert program in ("python", "torchrun"), f"{where}: how is {program} to be run?"
    launcher = [sys.executable, *(["-m", "torch.distributed.run"] if program == "torchrun" else [])]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run([*launcher, *arguments], check=False, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, f"{where}: {shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
