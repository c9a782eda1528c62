"""The folder of a run: checkpoints, metrics, settings; and whether another run may use it."""

import contextlib
import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import RunError, first_line, message
from ...files import part_of
from ..group import Group
from ..history import History
from ..options import FitOptions, Resume
from .files import BEST, LAST, PREVIOUS, read_checkpoint, read_newest, write_checkpoint, written
from .lock import Lock
from .schema import Checkpoint, DataRecord, NetRecord, changes_of

CONFIG = "config.json"
ELSEWHERE = "Give another: run_dir=, --run-dir."
WRITTEN = (
    CONFIG, "metrics.csv", "report.json", "report.md", "report.html", "predictions.csv", "curves.png", "confusion.png",
    "grid.png",
)  # fmt: skip


class RunFolder:
    """A folder that one run writes to and that the same run goes on from."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_no_file(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise RunError(message("fit", f"to make the run folder {path}", reason, ELSEWHERE)) from error

    @contextlib.contextmanager
    def alone(self, group: Group) -> Generator[None, None, None]:
        """While no other run may use the folder.

        Raises:
            RunError: When one does; on all processes of the group.
        """
        lock, refused = Lock(self.path), None
        if group.leads:
            try:
                lock.take()
            except RunError as error:
                refused = str(error)
        try:
            if refused := group.from_leader(refused):
                raise RunError(refused)
            yield
        finally:
            lock.release()

    @property
    def last(self) -> Path:
        return self.path / LAST

    def newest(self, resume: Resume) -> Checkpoint | None:
        """The checkpoint to go on from, if there is one.

        Raises:
            RunError: When what is there is damaged or foreign, or there is a run with ``resume="never"``.
        """
        check_ours(self.path)
        content = read_newest(self.path)
        if content is not None and resume == "never":
            advice = "Take another folder, or resume='auto' to go on."
            raise RunError(message("fit", "an unused run folder with resume='never'", self.path, advice))
        return None if content is None else Checkpoint.from_dict(content, self.path)

    def best(self) -> Checkpoint | None:
        path = self.path / BEST
        return read(path) if path.exists() else None

    def sweep(self) -> None:
        """Remove what a killed process left half-written."""
        for part in self.path.glob(part_of(Path("*")).name):
            part.unlink(missing_ok=True)

    def save(self, state: Checkpoint) -> None:
        """The last checkpoint; the one before is kept."""
        write_checkpoint(self.last, state.to_dict(), keep=self.path / PREVIOUS)

    def save_best(self, state: Checkpoint) -> None:
        write_checkpoint(self.path / BEST, state.to_dict())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(content, indent=2) + "\n")

    def write_config(self, content: Mapping[str, Any]) -> None:
        """What the run is, for people; what it started from stays noted."""
        start = {"start": found} if (found := self.start) else {}
        self.write_json(CONFIG, {**content, **start})

    def note_start(self, start: Mapping[str, str | None]) -> None:
        """Note what the net is before its first step: ``fit`` itself cannot know where its weights come from."""
        given = {name: text for name, text in start.items() if text is not None}
        if given != (self.start or {}):
            self.write_json(CONFIG, {**(config_in(self.path) or {}), "start": given})

    @property
    def start(self) -> dict[str, Any] | None:
        """What was noted of the start; None where nobody can tell."""
        found = (config_in(self.path) or {"start": None}).get("start", {})
        return found if isinstance(found, dict) else None

    def write_history(self, history: History) -> None:
        self._write("metrics.csv", history.csv_text())

    def _write(self, name: str, text: str) -> None:
        with written(self.path / name) as file:
            file.write(text.encode(errors="backslashreplace"))  # a path may hold bytes that are no UTF-8


def config_in(folder: Path) -> dict[str, Any] | None:
    """What config.json holds; None where there is none that can be read, and the run writes it anew."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def check_no_file(folder: Path) -> None:
    """Refuse a place where a folder cannot be: a file is there, or above it.

    Raises:
        RunError: Naming the file.
    """
    for each in (folder, *folder.parents):
        if os.path.exists(each) and not os.path.isdir(each):  # noqa: PTH110, PTH112  # these raise for no path
            raise RunError(message("fit", "run_dir to be a folder", f"the file {each}", ELSEWHERE))


def check_ours(folder: Path) -> None:
    """Refuse to write over files of somebody else's, whose names are those that a run writes.

    Raises:
        RunError: Naming them, where nothing there is known to be a run's.
    """
    check_no_file(folder)
    there = [name for name in WRITTEN if (folder / name).exists()]
    if not there or any((folder / name).exists() for name in (LAST, PREVIOUS, BEST)):
        return
    config = config_in(folder) or {}
    if not isinstance(config.get("net"), dict) and "start" not in config:
        advice = "Take another folder, or move them away."
        raise RunError(message("fit", "the folder of a run", f"other files in {folder}: {', '.join(there)}", advice))


def read(path: Path) -> Checkpoint:
    """A checkpoint file.

    Raises:
        RunError: When it is torn, foreign or of a newer version.
    """
    return Checkpoint.from_dict(read_checkpoint(path), path)


def check_same_run(stored: Checkpoint, model: nn.Module, options: FitOptions, data: DataRecord, folder: Path) -> None:
    """Refuse to go on with another net's run, or with other settings or data than the run's.

    Raises:
        RunError: What is another, by name.
    """
    check_same_net(stored, model, folder)
    changes = options.changes(stored.options) + stored.data.changes(data)
    if changes and options.resume != "changed":
        advice = "Take another folder, or resume='changed' (--resume changed) to go on with the new ones."
        raise RunError(message("fit", f"the settings of the run in {folder}", "; ".join(changes), advice))


def check_same_net(stored: Checkpoint, model: nn.Module, folder: Path) -> None:
    """Refuse a run of another net.

    Raises:
        RunError: Naming both.
    """
    net = NetRecord.of(model)
    shapes = [shapes_of(stored.weights), shapes_of(model.state_dict())]
    if net == stored.net and shapes[0] == shapes[1]:
        return
    got = net.name
    if net.name == stored.net.name:
        changes = changes_of(stored.net.config or {}, net.config or {}) or changes_of(*shapes)
        got += f" with {', '.join(changes[:4])}"
    advice = "Take another run folder."
    raise RunError(message("fit", f"the net of the run in {folder}, {stored.net.name}", got, advice))


def shapes_of(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
