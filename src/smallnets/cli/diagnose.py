"""``smallnets diagnose``: the mistakes in a net of the zoo, in one of the user's files, or in that of a run."""

import importlib.util
import inspect
import json as as_json
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError, first_line, message, nearest
from .app import app
from .parsing import JSON, Set, ahead, numbers, parse_settings, write_json

if TYPE_CHECKING:
    from torch import nn

What = Annotated[
    str,
    typer.Argument(
        help="A net of `smallnets list`, FILE.py:Class (the file is run; a function that makes a net will do, too), "
        "or the folder that `fit --run-dir` wrote.",
        metavar="NET|FILE.py:Class|RUN_DIR",
    ),
]


@app.command()
def diagnose(
    net: What,
    set_: Set = None,
    input_: Annotated[str | None, typer.Option("--input", help="C,H,W; the net's own by default.")] = None,
    classes: Annotated[int | None, typer.Option(help="How many logits there should be.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Look at real pictures: digits, cifar10, an image folder ...")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data.")] = "train",
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page.", callback=ahead)] = None,
    json: JSON = None,
) -> None:
    """Look for the mistakes that keep a net from learning, and say where they are and what to do.

    A file of yours is run, as Python would run it: give only files that you trust. Exit code 0: nothing above a note;
    1: errors or warnings; 2: a mistake in the command, in one line on stderr.
    """
    from ..data import load
    from ..diagnosis import diagnose as look

    settings = parse_settings(set_)
    size = None if input_ is None else numbers("--input", input_, 3)
    trained = Path(net).is_dir()
    if trained:
        model, size, classes = of_run(Path(net), settings, size, classes)
    else:
        model = of_file(net, settings) if ".py" in net else of_zoo(net, settings, classes)
    sides = None if size is None else (size[1], size[2])
    pictures = None if data is None else load(data, split, size=sides)
    found = look(model, size, num_classes=classes, data=pictures)
    if trained:  # what it learned makes it sure of itself, which on noise is no mistake
        found = replace(found, findings=tuple(one for one in found if one.rule != "initial-loss"))
    if html is not None:
        found.to_html(html)
    if not write_json(json, as_json.dumps(found.to_dict(), indent=2)):
        typer.echo(str(found))
    if found:
        raise typer.Exit(1)


def of_zoo(name: str, settings: dict[str, Any], classes: int | None) -> "nn.Module":
    """A net of the zoo, with as many classes as were asked for."""
    from ..models.build import build

    if classes is not None:
        settings.setdefault("num_classes", classes)
    return build(name, **settings)


def of_run(
    folder: Path, settings: dict[str, Any], size: tuple[int, ...] | None, classes: int | None
) -> tuple["nn.Module", tuple[int, ...], int]:
    """The net that a run ended with, and the size and number of classes of its data."""
    from ..experiments.runs import open_run

    if settings:
        raise OptionError(message("diagnose", "a run's net as it is", "--set", "Give the net's name to change it."))
    model, facts = open_run(folder)
    known = model.input_size if facts.size is None or facts.channels is None else (facts.channels, *facts.size)
    return model, size or known, classes or len(facts.classes)


def of_file(text: str, settings: dict[str, Any]) -> "nn.Module":
    """The net that a file of the user's makes; runs the file.

    Raises:
        OptionError: When there is no such file or class in it, or one of them fails, and why.
    """
    from torch import nn

    before, colon, name = text.rpartition(":")
    path = Path(before if colon and before.endswith(".py") else text)
    if not path.is_file():
        raise OptionError(message("diagnose", "a Python file, FILE.py:Class", repr(text), "Check the path."))
    module = run_file(path)
    makers = {
        called: thing
        for called, thing in vars(module).items()
        if isinstance(thing, nn.Module)
        or (inspect.isclass(thing) and issubclass(thing, nn.Module) and thing.__module__ == module.__name__)
        or (inspect.isfunction(thing) and thing.__module__ == module.__name__)
    }
    if str(path) == text:
        nets = [called for called, thing in makers.items() if not inspect.isfunction(thing)]
        if len(nets) != 1:
            got = f"{len(nets)} nets in {path.name}" + (f" ({', '.join(nets)})" if nets else "")
            raise OptionError(message("diagnose", "FILE.py:Class", got, f"Name one: {path}:{[*nets, 'Net'][-1]}."))
        name = nets[0]
    if name not in makers and not callable(getattr(module, name, None)):
        got = f"no {name!r} in {path.name}"
        raise OptionError(
            message("diagnose", f"one of {', '.join(makers) or 'its classes'}", got, nearest(name, makers))
        )
    return made(makers.get(name, getattr(module, name, None)), name, path, settings)


def made(maker: Any, name: str, path: Path, settings: dict[str, Any]) -> "nn.Module":
    """The net itself, made with what ``--set`` gives."""
    from torch import nn

    if isinstance(maker, nn.Module):
        return maker
    try:
        net = maker(**settings)
    except Exception as error:
        advice = "Give what it needs by --set KEY=VALUE."
        got = f"{type(error).__name__}: {first_line(error)}"
        raise OptionError(message("diagnose", f"{name}() of {path.name} to make a net", got, advice)) from error
    if not isinstance(net, nn.Module):
        raise OptionError(message("diagnose", f"{name} of {path.name} to be a net", f"a {type(net).__name__}"))
    return net


def run_file(path: Path) -> ModuleType:
    """A file of the user's as a module; the files beside it can be imported by it.

    Raises:
        OptionError: When it fails, and on which line.
    """
    spec = importlib.util.spec_from_file_location(f"diagnosed_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        got = f"{type(error).__name__}: {first_line(error)}{where}"
        raise OptionError(message("diagnose", f"{path.name} to run", got, "Mend the file.")) from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
