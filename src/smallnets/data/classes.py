"""A class is its name: choosing classes, and one class list in terms of another."""

from collections.abc import Sequence

from ..errors import DataError, message, nearest
from .names import class_name, counted, listed


def keep_classes(found: Sequence[str], classes: Sequence[str] | None) -> list[str]:
    """The classes to keep, in the order asked for.

    Raises:
        DataError: When one asked for is not there, or is asked for twice.
    """
    if classes is None:
        return list(found)
    names = names_in(classes)
    if not names or len(set(names)) != len(classes):
        raise DataError(message("load", "classes to be a list of different names", repr(classes)[:100]))
    for name in names:
        if name not in found:
            hint = nearest(name, found) or f"It has: {listed(list(found), 10)}."
            raise DataError(message("load", "a class of the data set", repr(name), hint))
    return names


def names_in(given: object) -> list[str]:
    """Names in their one form; none, where this is no list of names."""
    right = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    return [class_name(name) for name in given] if right and isinstance(given, list | tuple) else []


def class_map(
    given: Sequence[str],
    wanted: Sequence[str],
    who: str,
    whose: str = "the net",
    counts: Sequence[int] | None = None,
) -> list[int]:
    """The place in ``wanted`` of each class of ``given``: the same labels under another class list.

    Args:
        given: Classes of a set, by its labels.
        wanted: Classes of the net, by its logits.
        who: The caller, for errors.
        whose: Whose classes the wanted ones are, for errors.
        counts: Pictures of each class of ``given``, for errors.

    Raises:
        DataError: When a class of the set is none of the net's: which.

    >>> class_map(["b", "a"], ["a", "b", "c"], "evaluate")
    [1, 0]
    """
    place = {class_name(name): number for number, name in enumerate(wanted)}
    unknown = [
        repr(name) + ("" if counts is None else f" with {counted(counts[number], 'picture')}")
        for number, name in enumerate(given)
        if class_name(name) not in place
    ]
    if unknown:
        advice = f"Load the set with classes= of {whose}'s classes, or rename them."
        raise DataError(message(who, f"classes of {whose} ({listed(list(wanted))})", listed(unknown), advice))
    return [place[class_name(name)] for name in given]
