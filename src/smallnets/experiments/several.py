"""The folder around several runs: whether it may be used, and the table and picture that are left in it."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError, message
from ..files import write_text
from ..pictures import drawing
from .compare import COLUMNS, HEAD, Comparison
from .experiment import Experiment
from .recipe import Recipe
from .recipe_parts import SUMMARY
from .runs import holds_runs, is_run


def check_place(jobs: Sequence[Experiment], place: Path) -> None:
    """Refuse to mix one run and several in a folder, where the one hides the others, and to write over other files.

    Raises:
        RunError: Naming the run, or the files, in the way.
    """
    own = {job.folder for job in jobs}
    there = [name for name in SUMMARY if place not in own and (place / name).exists()]
    if there and not is_run(place) and not is_summary(place):
        got, advice = f"other files in {place}: {', '.join(there)}", "Take another folder, or move them away."
        raise RunError(message("recipe", "the folder of several runs", got, advice))
    for job in jobs:
        between = (folder for folder in job.folder.parents if folder == place or place in folder.parents)
        for folder in between:
            if folder not in own and is_run(folder):
                wanted, advice = "a folder of runs", "Give several runs their own --run-dir."
                raise RunError(message("recipe", wanted, f"that of one run, {folder}", advice))
        below = sorted(job.folder.iterdir()) if job.folder.is_dir() and not is_run(job.folder) else []
        if inside := [path for path in below if path.is_dir() and path not in own and holds_runs(path)]:
            wanted, advice = "the folder of one run", "Give it its own --run-dir."
            raise RunError(message("recipe", wanted, f"one of several, {inside[0]}", advice))


def is_summary(place: Path) -> bool:
    """Whether the table in a folder is one that ``write_summary`` wrote."""
    for name, line in ((SUMMARY[0], ",".join(COLUMNS)), (SUMMARY[2], f"| {' | '.join(HEAD)} |")):
        with contextlib.suppress(OSError, ValueError):
            if line in (place / name).read_text(encoding="utf-8").splitlines():
                return True
    return False


def write_summary(chosen: Recipe, found: Comparison, place: Path) -> None:
    """The table and the picture of several runs."""
    found.to_csv(place / SUMMARY[0])
    parts = [f"# {chosen.title}", chosen.notes.strip(), found.to_markdown()]
    parts += [f"Not as it was asked for: {why}" for why in found.failed]
    with contextlib.suppress(ImportError), drawing("recipe"):  # each run has warned of that
        found.plot(place / "comparison.png")
        parts.append("![Loss and accuracy of all runs](comparison.png)")
    write_text(place / "report.md", "\n\n".join(part for part in parts if part) + "\n")
