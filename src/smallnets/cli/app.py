"""The program itself: its name, version and options of every command. The commands are in the files beside it."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__

# What one does with a net first, then what one looks at, then many runs.
ORDER = ("fit", "evaluate", "predict", "explain", "export", "list", "show", "diagnose", "recipe", "sweep", "compare")


class InReadingOrder(TyperGroup):
    """The commands in ``ORDER``, not in the order in which their files happen to be imported."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = dict(sorted(self.commands.items(), key=lambda item: ORDER.index(item[0])))


app = typer.Typer(
    cls=InReadingOrder,
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # markup would take what stands in square brackets for its own
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="The classic convolutional nets: look at them, train them, use them.\n\n"
    "Start with: smallnets fit lenet5 --data digits --run-dir runs/digits\n\n"
    "Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 2 a mistake that one line on stderr "
    "explains, 130 interrupted (saved; the same command goes on), 1 anything else, such as pictures left out.",
)


def tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"smallnets {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of every command; ``main`` looks for --debug itself."""
