"""The command line; a file a group of commands. Errors are one line on stderr and exit code 2."""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Generator
from typing import TextIO

from ..errors import RunError, SmallnetsError, message
from ..speak import open_streams, say
from ..wording import no_memory
from . import diagnose, leaving, nets, recipes, training, using
from .app import app

COMMANDS = (
    nets,
    diagnose,
    training,
    using,
    recipes,
    leaving,
)  # importing them is what puts their commands into the app


@contextlib.contextmanager
def plain_warnings() -> Generator[None, None, None]:
    """Our warnings as one line on stderr, without file and line number."""

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if os.environ.get("RANK", "0") == "0":  # of several processes, the first says it
            say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        yield


def tell(text: str) -> None:
    """One line on stderr; of several processes only the first does, for the others end of the same."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        with contextlib.suppress(ValueError):  # only the main thread may say so, and only it gets signals
            # torchrun ends all when one has died: not in the middle of the sentence that says so.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        from ..training.group import first_to_tell

        if not first_to_tell():
            return
    say(f"smallnets: {text.removeprefix('smallnets: ')}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code."""
    open_streams()
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]  # wherever it stands
    try:
        with plain_warnings():
            code = app(given, prog_name="smallnets", standalone_mode=False)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        # Typer's own errors of usage have a one-line form; ours are written as one.
        usage = getattr(error, "format_message", None)
        if no_memory(error) and not isinstance(error, SmallnetsError):
            error = RunError(message("smallnets", "memory enough", "too little", "Take smaller batches, or fewer."))
        if debug or not (usage or isinstance(error, SmallnetsError | OSError | ValueError | ImportError)):
            raise
        told = usage() if usage else str(error)
        if told.startswith("Usage:"):  # a bare command is answered with its help
            print(told)
        elif told:
            tell(told)
        code = 2
    if code == 130:  # Typer's code for Ctrl-C, too
        tell("interrupted; run the same command again to go on")
    sys.exit(code)
