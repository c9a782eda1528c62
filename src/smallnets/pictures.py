"""Pictures that matplotlib drew, written whole; names in them are shown as they are, in any script."""

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from .errors import OptionError, check_choice, first_line, message, printable
from .files import user_path, write_bytes
from .warn import warn

SAID: set[str] = set()  # characters of which it was said that no font has them


def write_figure(figure: Any, path: str | os.PathLike[str], **how: Any) -> None:
    """Save a matplotlib figure, whole or not at all.

    Args:
        figure: The figure.
        path: The file; its suffix says the format, PNG without one.
        **how: Keywords of ``Figure.savefig``.

    Raises:
        RunError: When it cannot be written; what was there before is still there.
        OptionError: When matplotlib knows no such format.
    """
    name = str(user_path("plots", "path", path))
    if not Path(name).name:
        raise OptionError(message("plots", "path to be a file", repr(name)))
    if not (suffix := check_suffix(name)):
        name, suffix = f"{name.rstrip('.')}.png", "png"
    drawn = io.BytesIO()
    missing = with_fonts(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # said below, once, and with a remedy
        figure.savefig(drawn, format=suffix, **how)
    write_bytes(name, drawn.getvalue(), "plots")
    if new := "".join(sorted(missing - SAID)):
        SAID.update(new)
        warn(message("plots", f"a font that has {new[:20]}", "none", "Install one, for example Noto Sans CJK."))


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of a picture's file, in small letters and without its dot; empty where there is none.

    Raises:
        OptionError: When matplotlib knows no such format.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    suffix = Path(path).suffix[1:].lower()
    if suffix:
        check_choice("plots", "the suffix of a picture's file", suffix, FigureCanvasBase.get_supported_filetypes())
    return suffix


def plain(name: str) -> str:
    r"""A name as matplotlib shows it, letter by letter: no formula between dollars, no second line.

    >>> print(plain("$x$"))
    \$x\$
    """
    return printable(name).replace("\n", " ").replace("$", r"\$")


@contextlib.contextmanager
def drawing(who: str) -> Generator[None, None, None]:
    """Make a warning of what a drawing failed of: a picture is never worth what it shows.

    Raises:
        ImportError: Where matplotlib is not installed.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # a font, a backend, a full disk
        warn(f"{who}: a picture could not be drawn ({first_line(error)[:150]}); the figures are all there")


def with_fonts(figure: Any) -> set[str]:
    """Let every text fall back on installed fonts for what its own has not; gives the characters that none has."""
    from matplotlib.font_manager import findfont
    from matplotlib.text import Text

    missing: set[str] = set()
    for text in figure.findobj(Text):
        own = characters_of(findfont(text.get_fontproperties()))
        lacking = {letter for letter in text.get_text() if ord(letter) > 127 and ord(letter) not in own}
        if lacking:
            families, none = fallbacks(frozenset(lacking))
            text.set_fontfamily([*text.get_fontfamily(), *families])
            missing |= none
    return missing


@functools.lru_cache
def fallbacks(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Installed font families that have the letters, upright ones first; and the letters that none has."""
    found, left = families_with(letters)
    if left and know_new_fonts():
        found, left = families_with(letters)
    return tuple(found), frozenset(left)


def families_with(letters: frozenset[str]) -> tuple[list[str], set[str]]:
    """``fallbacks``, among the fonts that matplotlib knows."""
    from matplotlib.font_manager import fontManager

    found: list[str] = []
    left = set(letters)
    for font in sorted(fontManager.ttflist, key=lambda font: (font.style != "normal", font.weight != 400, font.name)):
        if "lastresort" in font.name.replace(" ", "").lower():  # has a box for every letter there is
            continue
        have = {letter for letter in left if ord(letter) in characters_of(font.fname)}
        if have:
            found.append(font.name)
            left -= have
        if not left:
            break
    return found, left


@functools.cache
def know_new_fonts() -> bool:
    """Tell matplotlib of fonts that were installed after it made its list, which it keeps; whether there were any."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    new = set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}
    for path in sorted(new):
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # of a file that is broken
            fontManager.addfont(path)
    return bool(new)


@functools.cache
def characters_of(path: str) -> frozenset[int]:
    """The characters that a font file has; none where it cannot be read."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
