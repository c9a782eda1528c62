"""The library's errors and their one message form: who expected what, what was given, what to do."""

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from difflib import SequenceMatcher, get_close_matches

from .wording import no_memory, too_large

LONGEST = 295  # characters of an error of one line


class SmallnetsError(Exception):
    """Every error that smallnets raises on purpose; its text is one sentence for a person."""


class OptionError(SmallnetsError, ValueError):
    """An argument that is not allowed."""


class UnknownOptionError(OptionError, TypeError):
    """A keyword that a builder does not have: Python's own TypeError, and like every wrong argument a ValueError."""


class PlaceError(OptionError, IndexError):
    """A place outside of a set: Python's own IndexError, and like every wrong argument a ValueError."""


class ShapeError(SmallnetsError, ValueError):
    """A size that a layer or a net cannot take."""


class DataError(SmallnetsError, ValueError):
    """A data set that cannot be read or does not fit."""


class WeightsError(SmallnetsError, ValueError):
    """Weights that cannot be read or do not fit."""


class NoMemoryError(SmallnetsError, MemoryError):
    """Memory that a file, a set or a net needs and this process does not get."""


class RunError(SmallnetsError, RuntimeError):
    """A run that cannot go on: another run's folder, a torn checkpoint, a loss that is not a number."""


def message(who: str, expected: str, got: object, advice: str = "") -> str:
    """One sentence in three parts.

    >>> message("lenet5", "num_classes of at least 0", -1, "Give the number of classes.")
    'lenet5: expected num_classes of at least 0; got -1. Give the number of classes.'
    """
    given = re.sub(r"(?<=[\w)'\"])\.$", "", str(got))  # what is quoted may be a sentence, with a full stop of its own
    parts = [printable(expected), printable(given), printable(advice)]
    for place, least in ((1, 90), (2, 60), (0, 90)):  # of a text that nobody would read to its end
        over = len(sentence(who, *parts)) - LONGEST
        if over > 0 and not any("\n" in part for part in parts):
            parts[place] = shortened(parts[place], max(least, len(parts[place]) - over))
    return sentence(who, *parts)


def sentence(who: str, expected: str, got: str, advice: str) -> str:
    return f"{who}: expected {expected}; got {got}." + (f" {advice}" if advice else "")


def shortened(text: str, most: int) -> str:
    """A text with its middle left out where it is longer than that.

    >>> shortened("a" * 50 + "b" * 50, most=21)
    'aaaaaaaaaaaaa … bbbbb'
    """
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 3]} … {text[-end:]}"


def printable(text: str) -> str:
    r"""A text that a terminal shows and does not obey: what is no character is escaped, but for line breaks and tabs.

    >>> print(printable("a\x1b[31mred"))
    a\x1b[31mred
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest(given: object, allowed: Iterable[object]) -> str:
    """A hint that names the allowed value closest in spelling, or nothing; of equally close ones that begins alike.

    One that is the other's initials is meant before any that is spelled alike.

    >>> nearest("resnet21", ["resnet20", "resnet32"])
    "Did you mean 'resnet20'?"
    >>> nearest("learning_rate", ["lr", "variant"]), nearest("bs", ["batch_size"])
    ("Did you mean 'lr'?", "Did you mean 'batch_size'?")
    """
    number = isinstance(given, int) and not isinstance(given, bool)  # a text of the same digits may be meant
    if not (isinstance(given, str) or number):
        return ""  # nobody misspells what is no text
    text = str(given)
    others = [str(value) for value in allowed if str(value) != text or (number and isinstance(value, str))]
    found = [name for name in others if initials(name) == text or initials(text) == name]
    found = found or get_close_matches(text, others, n=10, cutoff=0.5)
    if not found:
        return ""

    def closeness(name: str) -> tuple[float, list[bool]]:
        alike = [a == b for a, b in zip(name, text, strict=False)]
        return SequenceMatcher(None, name, text).ratio(), alike

    return f"Did you mean {max(found, key=closeness)!r}?"


def initials(name: str) -> str | None:
    """``"lr"`` of ``"learning_rate"``; None of a single word."""
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else None


def check_choice(who: str, option: str, given: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is not one of those allowed.

    Raises:
        OptionError: Naming the option, the value, the choices and the nearest of them.
    """
    allowed = tuple(allowed)
    plain = isinstance(given, str | int | float)  # arrays and tensors answer == with another array
    if not any(given is value or (plain and given == value) for value in allowed):
        choices = ", ".join(repr(value) for value in allowed)
        raise OptionError(message(who, f"{option} to be one of {choices}", repr(given), nearest(given, allowed)))


def check_int(who: str, option: str, given: object, least: int = 1) -> None:
    """Refuse what is not an integer of at least ``least``.

    Raises:
        OptionError: Naming the option, the value and the least that is allowed.
    """
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise OptionError(message(who, f"{option} to be an integer of at least {least}", repr(given)))


def check_ints(who: str, option: str, each: str, given: object) -> None:
    """Refuse what is not a sequence of integers of at least 1; ``each`` is what one of them is called.

    Raises:
        OptionError: Naming the option and the value.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise OptionError(message(who, f"{option} to be a sequence of {each}s", repr(given)))
    for value in given:
        check_int(who, f"every {each} in {option}", value)


def check_text(who: str, option: str, given: object) -> None:
    """Refuse what is not a string.

    Raises:
        OptionError: Naming the option and the value.
    """
    if not isinstance(given, str):
        raise OptionError(message(who, f"{option} to be text", repr(given)))


def check_number(who: str, option: str, given: object, least: float, below: float | None = None) -> None:
    """Refuse what is not a number in [least, below).

    Raises:
        OptionError: Naming the option, the value and the range.
    """
    span = f"a number of at least {least:g}" + ("" if below is None else f" and below {below:g}")
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not given >= least
        or given == float("inf")
        or (below is not None and given >= below)
    ):
        raise OptionError(message(who, f"{option} to be {span}", repr(given)))


@contextmanager
def memory_told(who: str, what: str, advice: str = "") -> Generator[None, None, None]:
    """Say in one sentence what there was too little memory for.

    Raises:
        NoMemoryError: Instead of Python's, PyTorch's and the system's errors.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SmallnetsError) or not no_memory(error):
            raise
        raise NoMemoryError(message(who, f"memory for {what}", "too little", advice)) from error


@contextmanager
def sizes_that_fit(who: str) -> Generator[None, None, None]:
    """Refuse in one sentence what PyTorch cannot make because its numbers, or all together, are too large.

    Raises:
        OptionError: Instead of PyTorch's errors of overflowing sizes and of main memory.
    """
    try:
        yield
    except (RuntimeError, TypeError, OverflowError) as error:
        if not too_large(error):
            raise
        got = "sizes that are too large" + (" for the memory there is" if no_memory(error) else "")
        advice = "Take smaller ones."
        raise OptionError(message(who, "sizes of which PyTorch can make tensors", got, advice)) from error
