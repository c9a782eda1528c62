"""The folder of a run: checkpoints, metrics, settings; and whether another run may use it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import RunError, message
from ...models.base import Net
from ..history import History
from ..options import FitOptions, qualified_name
from .files import BEST, LAST, PREVIOUS, read_checkpoint, read_newest, write_checkpoint, write_text


class RunFolder:
    """A folder that one run writes to and that the same run goes on from."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(message("fit", f"to make the run folder {path}", error.strerror)) from error

    @property
    def last(self) -> Path:
        return self.path / LAST

    def resume(self, model: nn.Module, options: FitOptions, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """The checkpoint to go on from, if there is one and it is this run's.

        Raises:
            RunError: When the folder holds another net's run, or one with other settings or data; by name.
        """
        found = read_newest(self.path)
        if found is None:
            return None
        if options.resume == "never":
            advice = "Take another folder, or resume='auto' to go on."
            raise RunError(message("fit", "an unused run folder with resume='never'", self.path, advice))
        check_same_net(found, model, self.path)
        changes = options.changes(found["options"])
        changes += [
            f"{fact(name)} {found['data'][name]!r} -> {value!r}"
            for name, value in data.items()
            if name in found["data"] and name not in ("mean", "std", "source") and found["data"][name] != value
        ]
        if changes and options.resume != "changed":
            advice = "Take another folder, or resume='changed' (--resume changed) to go on with the new ones."
            raise RunError(message("fit", f"the settings of the run in {self.path}", "; ".join(changes), advice))
        return found

    def sweep(self) -> None:
        """Remove what a killed process left half-written."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    def save(self, state: Mapping[str, Any]) -> None:
        """The last checkpoint; the one before is kept."""
        write_checkpoint(self.last, state, keep=self.path / PREVIOUS)

    def save_best(self, state: Mapping[str, Any]) -> None:
        write_checkpoint(self.path / BEST, state)

    def best(self) -> dict[str, Any] | None:
        path = self.path / BEST
        return read_checkpoint(path) if path.exists() else None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=2) + "\n"
        write_text(self.path / name, text)

    def write_history(self, history: History) -> None:
        write_text(self.path / "metrics.csv", history.csv_text())


def fact(name: str) -> str:
    """What a fact of the data is called."""
    return "validation set's checksum" if name == "validation" else f"training set's {name}"


def describe(model: nn.Module) -> dict[str, Any]:
    """What a checkpoint notes of its net: class and, for a net of the zoo, the config that rebuilds it."""
    return {"class": qualified_name(type(model)), "config": model.config if isinstance(model, Net) else None}


def check_same_net(found: Mapping[str, Any], model: nn.Module, folder: Path) -> None:
    """Refuse a run of another net.

    Raises:
        RunError: Naming both.
    """
    mine, stored = describe(model), found["net"]
    shapes = [shapes_of(found["model"]), shapes_of(model.state_dict())]
    if mine == stored and shapes[0] == shapes[1]:
        return
    names = [(net["config"] or {}).get("name", net["class"]) for net in (stored, mine)]
    got = names[1]
    if names[0] == names[1]:
        changes = changes_of(stored["config"] or {}, mine["config"] or {}) or changes_of(*shapes)
        got += f" with {', '.join(changes[:4])}"
    advice = "Take another run folder."
    raise RunError(message("fit", f"the net of the run in {folder}, {names[0]}", got, advice))


def shapes_of(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}


def changes_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What is another, by name."""
    names = [*new, *(name for name in old if name not in new)]
    return [f"{name} {old.get(name)!r} -> {new.get(name)!r}" for name in names if old.get(name) != new.get(name)]
