"""Is what a file holds of the form that a type describes?"""

import dataclasses
from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict


def fault(value: object, form: Any, where: str = "") -> str:
    """What is wrong with a value, in words; nothing where it is as described.

    Args:
        value: Out of a file: dicts, lists, numbers, text, tensors.
        form: ``int``, ``float`` (which an int is, too), ``str``, ``bool``, ``None``, ``Any``, a class, a ``Literal``,
            a union of such, ``list[...]``, ``dict[str, ...]``, a TypedDict, which may have more keys, or a dataclass,
            whose fields may be left out and which has no others.
        where: Names what has the value.

    >>> fault({"a": [1, "x"]}, dict[str, list[int]])
    "['a'][1] is a str"
    """
    origin, inner = get_origin(form), get_args(form)
    if form is Any:
        return ""
    if origin in (Union, UnionType):
        found = [fault(value, each, where) for each in inner]
        return "" if "" in found else found[0]
    if origin is Literal:
        return "" if value in inner else f"{where or 'it'} is {value!r:.40}"
    if origin is NotRequired:
        return fault(value, inner[0], where)
    if origin is list:
        return among(value, list, where, lambda _: inner[0])
    if origin is dict:
        return among(value, dict, where, lambda _: inner[1])
    if is_typeddict(form) or dataclasses.is_dataclass(form):
        return of_fields(value, form, where)
    wanted = type(None) if form is None else form
    fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    fits = fits or (wanted is float and type(value) is int)
    return "" if fits else f"{where or 'it'} is a {type(value).__name__}"


def among(value: Any, kind: type, where: str, form: Callable[[Any], Any]) -> str:
    """``fault`` of a list's or a dict's values."""
    if not isinstance(value, kind):
        return f"{where or 'it'} is a {type(value).__name__}"
    held: Any = value
    pairs: Any = held.items() if kind is dict else enumerate(held)
    return next((said for key, each in pairs if (said := fault(each, form(key), f"{where}[{key!r:.40}]"))), "")


def of_fields(value: Any, form: Any, where: str) -> str:
    """``fault`` of a dict that a TypedDict or a dataclass describes."""
    if not isinstance(value, dict):
        return f"{where or 'it'} is a {type(value).__name__}"
    forms = get_type_hints(form, include_extras=False)
    for name in getattr(form, "__required_keys__", ()):
        if name not in value:
            return f"{where or 'it'} has no {name!r}"
    if dataclasses.is_dataclass(form) and (others := [name for name in value if name not in forms]):
        return f"{where} has {others[0]!r:.40}"
    return among(value, dict, where, lambda name: forms.get(name, Any))
