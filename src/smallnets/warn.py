"""Warnings that point at the line of the user."""

import contextlib
import sys
import warnings
from pathlib import Path
from types import FrameType

PASSED_OVER = [str(Path(__file__).parent), contextlib.__file__]  # a context manager of ours has a frame of its own


def warn(text: str) -> None:
    """Warn at the first line outside of the library, however deep it is called.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("fit: train and val are one set")
    >>> str(caught[0].message)
    'fit: train and val are one set'
    """
    frame: FrameType | None = sys._getframe(0)  # pyright: ignore[reportPrivateUsage]
    level = 0
    torch = sys.modules.get("torch")  # its decorators stand between, too
    passed = (*PASSED_OVER, *(str(Path(path)) for path in getattr(torch, "__path__", ())))
    while frame is not None and frame.f_code.co_filename.startswith(passed):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level + 1)
