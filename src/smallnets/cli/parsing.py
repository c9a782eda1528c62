"""What is typed on the command line: the options that commands share, and texts as Python values."""

import ast
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import OptionError, message
from ..files import check_writable, write_text
from ..pictures import check_suffix


def ahead(context: typer.Context, path: Path | None) -> Path | None:
    """Whether a file of results can be written comes to light before the work whose result it is.

    A command that makes a folder of its own looks for itself, as the file may be meant for that.
    """
    if str(path) == "-":
        raise OptionError(message("smallnets", "the path of a file", "'-'", "Only --json takes - for stdout."))
    if path is not None and not any(option.name == "run_dir" for option in context.command.params):
        check_writable(path)
    return path


def json_ahead(context: typer.Context, path: Path | None) -> Path | None:
    """``ahead`` of what may be stdout."""
    return path if str(path) == "-" else ahead(context, path)


def picture_ahead(context: typer.Context, path: Path | None) -> Path | None:
    """``ahead`` of a picture, whose suffix must be one that can be drawn."""
    if path is not None:
        with contextlib.suppress(ImportError):  # is said where it is drawn
            check_suffix(path)
    return ahead(context, path)


Net = Annotated[str, typer.Argument(help="A net of `smallnets list`.", metavar="NET")]
Run = Annotated[
    Path,
    typer.Argument(
        help="The folder that `fit --run-dir` wrote, a .safetensors file of `save`, or a trained net as lenet5:digits.",
        metavar="RUN_DIR",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="An option of the net's builder, e.g. stem=cifar; may be repeated."
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="digits, mnist, fashion-mnist, cifar10, cifar100, a folder SPLIT/CLASS/IMAGE or CLASS/IMAGE, its zip.",
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder of torchvision's files for the named sets.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a named set that is not there.")]
OnError = Annotated[str, typer.Option(help="A broken picture: raise an error, or skip it with a warning.")]
Labels = Annotated[
    str | None,
    typer.Option(help="Where labels are no folders: a CSV of file and label, or prefix for names such as cat.0.jpg."),
]
Limit = Annotated[int | None, typer.Option(help="Use so many pictures of the training split, of each class its share.")]
JSON = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is stdout.", callback=json_ahead),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]


TEXTS = ("variant",)  # settings whose choices are names, also where they look like numbers
NONE_IS_A_WORD = ("augment", "test")  # settings that have a choice of this name


def parse_settings(pairs: list[str] | None, of: str = "net") -> dict[str, Any]:
    """``["stem=cifar", "num_classes=3"]`` as keywords: Python values where they are, else text.

    >>> parse_settings(["stem=cifar", "num_classes=3", "batch_norm=true"])
    {'stem': 'cifar', 'num_classes': 3, 'batch_norm': True}
    """
    found: dict[str, Any] = {}
    for text in pairs or []:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise OptionError(message("--set", "KEY=VALUE", repr(text), "For example --set num_classes=3."))
        if key.strip() == "name":
            raise OptionError(message("--set", f"an option of the {of}", repr(text), "Its name is the first argument."))
        if key.strip() in found:
            raise OptionError(message("--set", "each option once", repr(text)))
        found[key.strip()] = parse_value(value, key.strip())
    return found


def parse_value(text: str, key: str = "") -> Any:
    """A Python value where it is one, true, false and none in any case, else the text itself.

    >>> parse_value("none"), parse_value("none", "augment")
    (None, 'none')
    """
    spoken = {"true": True, "false": False, "none": "none" if key in NONE_IS_A_WORD else None}
    if key in TEXTS:
        return text
    if text.lower() in spoken:
        return spoken[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def write_json(path: Path | None, text: str) -> bool:
    """Write a result where ``--json`` says.

    Returns:
        Whether that is stdout, which then holds nothing else.
    """
    if path is None:
        return False
    if str(path) == "-":
        typer.echo(text)
        return True
    write_text(path, text + "\n")
    return False


def side(option: str, text: str) -> int | tuple[int, ...]:
    """``"32"`` as a side in pixels, ``"24,32"`` as height and width."""
    found = numbers(option, text)
    return found[0] if len(found) == 1 else found


def weights(option: str, text: str) -> tuple[float, ...]:
    """``"1,20"`` as numbers.

    Raises:
        OptionError: When they are none.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(message(option, "balanced, or a number a class", repr(text))) from error


def numbers(option: str, text: str, count: int | None = None) -> tuple[int, ...]:
    """``"3,32,32"`` as whole numbers.

    Raises:
        OptionError: When they are not, or not as many.
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or (count is not None and len(found) != count):
        wanted = "C,H,W" if count == 3 else "one or two whole numbers"
        raise OptionError(message(option, wanted, repr(text)))
    return found
