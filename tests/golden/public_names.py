"""Every public name with its signature, as lines of text that are the same on every Python and torch.

python tests/golden/public_names.py    # writes public_names.txt anew; its diff is what users will notice
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import typer.main

import smallnets
import smallnets.cli

FILE = Path(__file__).with_suffix(".txt")
CALLED_BY_SIGNS = ("__call__", "__contains__", "__getitem__", "__iter__", "__len__")


def listing() -> list[str]:
    lines = []
    for room in ("", "data", "shapes"):
        module = getattr(smallnets, room) if room else smallnets
        prefix = f"smallnets.{room}".rstrip(".")
        for name in sorted(name for name in dir(module) if not name.startswith("_")):
            value = getattr(module, name)
            if not isinstance(value, types.ModuleType):
                lines += described(f"{prefix}.{name}", value)
    return [*lines, *commands("smallnets", typer.main.get_command(smallnets.cli.app))]


def described(name: str, value: object) -> Iterator[str]:
    if typing.get_origin(value) is not None or not callable(value):
        yield f"{name} = {kind(value)}"
        return
    if not inspect.isclass(value):
        yield from calls(name, value)
        return
    if issubclass(value, Exception):  # is caught, and made by nobody but us
        yield f"{name}: {', '.join(base.__name__ for base in value.__bases__)}"
        return
    yield from calls(name, value)
    members: dict[str, object] = {}
    public = [base for base in value.__mro__[1:] if getattr(smallnets, base.__name__, None) is base]
    for owner in reversed(value.__mro__):  # what a public base has is listed there, and PyTorch's module in its manual
        if owner.__module__.startswith("smallnets") and not any(issubclass(base, owner) for base in public):
            members |= vars(owner)
    for base in public[:1]:
        yield f"{name} is a {base.__name__}"
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for member in sorted(members):
        found = members[member]
        if (member.startswith("_") and member not in CALLED_BY_SIGNS) or member in fields:
            continue
        if isinstance(found, property):
            returned = inspect.signature(found.fget).return_annotation if found.fget else "?"
            yield f"{name}.{member}: {kind(returned)}"
        elif callable(getattr(value, member)):
            yield from calls(f"{name}.{member}", getattr(value, member))


def calls(name: str, called: typing.Any) -> Iterator[str]:
    """A line for each way to call it."""
    ways = typing.get_overloads(called) if inspect.isroutine(called) else []
    for way in ways or [called]:
        yield f"{name}{signature(way)}"


def signature(called: typing.Any) -> str:
    """``inspect.signature`` as text, its types written by ``kind``."""
    parts, kinds = [], inspect.Parameter
    found = inspect.signature(called)
    starred = False
    for parameter in found.parameters.values():
        if parameter.name.startswith("_"):
            continue
        if parameter.kind is kinds.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred |= parameter.kind in (kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL)
        stars = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        typed = "" if parameter.annotation is kinds.empty else f": {kind(parameter.annotation)}"
        value = "" if parameter.default is kinds.empty else f" = {default(parameter.default)}"
        parts.append(f"{stars}{parameter.name}{typed}{value}")
    returned = "" if found.return_annotation is found.empty else f" -> {kind(found.return_annotation)}"
    return f"({', '.join(parts)}){returned}"


def default(value: object) -> str:
    text = getattr(value, "__qualname__", repr(value))
    return "..." if " at 0x" in text else text


def kind(found: object) -> str:
    """A type as it is written; Python's own texts of one differ from version to version."""
    origin, inner = typing.get_origin(found), typing.get_args(found)
    if hasattr(origin, "__value__"):  # an alias by Python 3.12's `type`, as newer NumPy's
        return kind(origin.__value__)
    if found is None or found is types.NoneType:
        return "None"
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return f"[{', '.join(map(kind, found))}]"
    if origin is typing.Annotated:
        return kind(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(kind, inner))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin is not None and origin.__module__.startswith("numpy"):
        return origin.__name__  # whose inner types differ from release to release
    if origin is not None:
        return f"{kind(origin)}[{', '.join('...' if part is ... else kind(part) for part in inner)}]"
    if isinstance(found, typing.ForwardRef):
        return found.__forward_arg__
    return getattr(found, "__qualname__", None) or getattr(found, "__name__", None) or type(found).__name__


def commands(name: str, command: typing.Any) -> Iterator[str]:
    """A command with its arguments and options, then those below it."""
    parts = []
    for parameter in sorted(command.params, key=lambda parameter: parameter.opts):
        names = "/".join([*parameter.opts, *parameter.secondary_opts])
        flag = getattr(parameter, "is_flag", False)
        many = getattr(parameter, "multiple", False) or parameter.nargs != 1
        parts.append(
            f"[{names}{'' if flag else ' ...' if many else ' VALUE'}]" if names.startswith("-") else names.upper()
        )
    yield " ".join(["$", name, *parts])
    for below, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(f"{name} {below}", inner)


if __name__ == "__main__":
    FILE.write_text("\n".join(listing()) + "\n", encoding="utf-8")
