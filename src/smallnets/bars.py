"""Bars: tqdm's on a terminal; in a notebook HTML that is drawn anew in place, so that a saved notebook has it, too."""

import importlib
import io
import sys
from collections import deque
from collections.abc import Iterable
from html import escape
from typing import Any

from tqdm import tqdm

from .speak import has_terminal

LINES = 40  # that stand under a bar in a notebook
FORMAT = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
STYLE = "font:13px/1.4 system-ui,sans-serif"


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this: what is displayed is seen as HTML, and stderr as a red block.

    >>> in_notebook()
    False
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return getattr(get_ipython() if get_ipython is not None else None, "kernel", None) is not None


def bar(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """A bar of tqdm's, drawn by the notebook where there is one; the options are tqdm's."""
    if in_notebook():
        return NotebookBar(items, **options)
    hidden = options.pop("disable", None)
    return tqdm(items, **options, disable=not has_terminal() if hidden is None else hidden)


class NotebookBar(tqdm):  # type: ignore[misc]
    """tqdm's counting and timing, drawn without widgets, which a saved notebook and many front ends do not show."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.handle: Any = None
        self.lines: deque[str] = deque(maxlen=LINES)
        # None means: only on a terminal. Here it is seen.
        super().__init__(*args, **{**options, "disable": bool(options.get("disable")), "file": io.StringIO()})

    def add_line(self, text: str) -> None:
        """A line that stays under the bar."""
        self.lines.append(text)
        self.display()

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Draw it; an empty ``msg`` takes it away, but for its lines."""
        numbers: dict[str, Any] = {**self.format_dict, "bar_format": FORMAT}
        self.show("" if msg == "" else self.format_meter(**numbers))
        return True

    def show(self, text: str) -> None:
        share = min(1.0, self.n / self.total) if self.total else 0.0
        done = f"<div style='width:{share:.1%};height:6px;border-radius:3px;background:#4a84d4'></div>"
        track = f"<div style='max-width:480px;border-radius:3px;background:#8884'>{done}</div>"
        lines = f"<pre style='margin:4px 0;background:none;color:inherit'>{escape(chr(10).join(self.lines))}</pre>"
        parts = [f"{track}<div>{escape(text)}</div>" if text else "", lines if self.lines else ""]
        plain = "\n".join([*([text] if text else []), *self.lines])
        content = {"text/html": f"<div style='{STYLE}'>{''.join(parts)}</div>", "text/plain": plain}
        if self.handle is not None:
            self.handle.update(content, raw=True)
        elif plain:
            self.handle = importlib.import_module("IPython.display").display(content, raw=True, display_id=True)

    def clear(self, nolock: bool = False) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Nothing: what others write does not run into it."""
