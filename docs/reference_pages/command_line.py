"""Every command, argument and option, from the program's own help."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from smallnets.cli.app import app

from .markdown import table

HEAD = """\
# Command line

Made from the program's own help by `docs/write_reference.py`; `smallnets COMMAND --help` says the same.

"""
EXAMPLE = re.compile(r"(?<![\w-])(--[a-z][\w-]*|SPLIT/CLASS/IMAGE|CLASS/IMAGE|C,H,W|[\w.]+=[\w.]+)(?!\w)")
VALUES = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


def code(text: str) -> str:
    """A text of the help as Markdown: examples in code, what would be markup escaped."""
    parts = text.split("`")  # what stands in code already is every other one
    parts[::2] = [EXAMPLE.sub(r"`\1`", part).replace("<", r"\<") for part in parts[::2]]
    return "`".join(parts)


def paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]


def value_of(command: Any, parameter: Any) -> str:
    """What is written behind an option, such as N for a number."""
    if parameter.metavar:
        return str(parameter.metavar)
    kind = get_type_hints(inspect.unwrap(command.callback)).get(parameter.name)
    kinds = [kind, *get_args(kind), *(inner for each in get_args(kind) for inner in get_args(each))]
    return next((VALUES[each] for each in kinds if each in VALUES), "TEXT")


def row(command: Any, parameter: Any) -> list[str]:
    """An option: how it is written, what it is, its default. A default in brackets is written by hand in its help."""
    told, _, default = (parameter.help or "").partition("[")
    default = default.rstrip("]")
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.required:
        default = "required"
    elif not default and parameter.default not in (None, False, (), []):
        default = f"`{parameter.default}`"
    flag = getattr(parameter, "is_flag", False)
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    elif not flag:
        names = f"`{parameter.opts[-1]} {value_of(command, parameter)}`"
    return [names, code(told.strip()), default]


def section(path: str, command: Any) -> str:
    usage = f"smallnets {path}"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name != "argument" and "--help" not in each.opts]
    for each in arguments:
        name = each.metavar or each.name.upper()
        usage += f" {name}" if each.required else f" [{name}]"
    usage += " [OPTIONS]" if options else ""
    lines = [f"## smallnets {path}", "", "```text", usage, "```", ""]
    lines += [line for part in paragraphs(command.help) for line in (code(part), "")]
    text = "\n".join(lines) + "\n"
    heads = ["option", "what it is", "default"]
    return text + table(heads, [row(command, each) for each in (*arguments, *options)])


def commands(group: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Every command by what is typed, also those of a group."""
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found += commands(command, f"{prefix}{name} ") if inner else [(f"{prefix}{name}", command)]
    return found


def exit_codes(text: str) -> str:
    """The table out of the sentence that the help ends with."""
    found = re.split(r"(?:^|, )(?=\d+ )", text.rstrip("."))
    rows = sorted((one.split(" ", 1) for one in found if one), key=lambda row: int(row[0]))
    return table(["exit code", "what it means"], [[f"`{number}`", meaning] for number, meaning in rows])


def page() -> str:
    program: Any = typer.main.get_command(app)
    title, start, told = paragraphs(program.help)
    told, _, codes = told.partition("Exit codes: ")
    start = re.sub(r"(smallnets fit .*)", r"`\1`", start)
    own = [each for each in program.params if each.param_type_name == "option" and "completion" not in each.opts[0]]
    text = HEAD + f"{title} {start}.\n\n{told.strip()}\n\n" + exit_codes(codes) + "\nOf every command:\n\n"
    text += table(["option", "what it is"], [row(program, each)[:2] for each in own])
    text += "| `-h`, `--help` | Show the help of a command. |\n"
    found = commands(program)
    text += "\n" + table(
        ["command", "what it does"],
        [[f"[{path}](#smallnets-{path.replace(' ', '-')})", code(paragraphs(one.help)[0])] for path, one in found],
    )
    return text + "".join("\n" + section(path, command) for path, command in found)
