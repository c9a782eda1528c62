"""``smallnets export`` and ``explain``: the net of a run for other programs, and for people."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import DataError
from ..speak import say
from .app import app
from .parsing import Root, Run, ahead


@app.command()
def export(
    run_dir: Run,
    path: Annotated[Path, typer.Argument(help="net.onnx, net.pt2 or net.safetensors.")],
    logits: Annotated[bool, typer.Option("--logits", help="Give logits, not probabilities.")] = False,
    pictures: Annotated[
        Literal["uint8", "float", "normalised"],
        typer.Option(help="What the file takes: pixels from 0 to 255, from 0 to 1, or normalised already."),
    ] = "uint8",
) -> None:
    """Write the net of a run as one file that takes pictures as they are: normalisation, classes and all inside."""
    from ..experiments.runs import open_run
    from ..exporting import export as write

    net, _ = open_run(run_dir)
    write(net, path, probabilities=not logits, pictures=pictures)
    typer.echo(f"{path}: {path.stat().st_size:,} bytes")


@app.command()
def explain(
    run_dir: Run,
    picture: Annotated[Path, typer.Argument(help="A picture of any size.")],
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page here.", callback=ahead)] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers whose maps are shown, comma-separated.  [the net's stages]")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The class to explain.  [the likeliest]")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Whose test split is searched for what excites the same channels.  [the run's own]"),
    ] = None,
    root: Root = None,
) -> None:
    """Show what the net of a run makes of one picture: its maps, its first filters, and where its answer comes from.

    The page also has the test pictures that excite the same channels most, where the run's data is still there.
    """
    from ..experiments.runs import open_run, tested_on
    from ..explaining import explain as look

    net, facts = open_run(run_dir)
    chosen = None if layers is None else [name.strip() for name in layers.split(",")]
    examples = None
    if html is not None or data is not None:
        try:
            examples = tested_on(run_dir, facts, data, root)
        except DataError as error:
            if data is not None:
                raise
            say(f"no test pictures on the page: {error}")
    found = look(net, picture, layers=chosen, target=target, examples=examples)
    typer.echo(str(found))
    if html is not None:
        found.to_html(html)
        typer.echo(f"page in {html}")
