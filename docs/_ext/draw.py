"""Puts the page on which LeNet-5 reads what one draws into the built site, as ``draw/index.html``."""

import importlib.util
from pathlib import Path

from sphinx.application import Sphinx


def write(app: Sphinx, failure: Exception | None) -> None:
    """After a build that went well: ``docs/draw_page.py`` makes the page."""
    if failure is not None or app.builder.format != "html":
        return
    spec = importlib.util.spec_from_file_location("draw_page", Path(__file__).parents[1] / "draw_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build(Path(app.outdir) / "draw")


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
