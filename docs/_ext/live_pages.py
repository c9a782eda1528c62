"""The nets of the explanations, made while the site is built: drawings to scale, and pages to click through.

A page of the docs shows a net by a block ``{net} resnet50``: the drawing, a link to the live page, and on a wide screen
the live page in place, folded. ``python docs/_ext/live_pages.py FOLDER`` writes both for every net.
"""

import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import torch
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import smallnets as sn
from smallnets.summary.text import size_words, units

NETS: dict[str, Callable[[], sn.Net]] = {
    "lenet5": sn.lenet5,
    "lenet5-1998": lambda: sn.lenet5(variant="1998"),
    "convnet3": sn.convnet3,
    "alexnet": sn.alexnet,
    "alexnet-2012": lambda: sn.alexnet(variant="2012"),
    "vgg16": sn.vgg16,
    "resnet18": sn.resnet18,
    "resnet50": lambda: sn.resnet50(stride_in="1x1"),
    "resnet20": sn.resnet20,
    "resnet50_layer4": sn.resnet50_layer4,
}
FOLDER = "live"  # in the site


def summary_of(name: str) -> sn.Summary:
    with torch.device("meta"):
        net = NETS[name]()
    return sn.summarize(net, net.input_size)


def build(out: Path) -> None:
    """Write the live page and the drawing of every net: NAME.html and NAME.svg."""
    out.mkdir(parents=True, exist_ok=True)
    for name in NETS:
        summary = summary_of(name)
        summary.to_html(out / f"{name}.html")
        summary.plot(out / f"{name}.svg")


def shown(name: str, folder: str) -> str:
    """HTML of a net's drawing and live page, which lie in ``folder``."""
    summary = summary_of(name)
    totals, kinds = summary.totals, [row.type for row in summary.rows]
    said = (
        f"{summary.model} on {size_words(summary.input_size)} as blocks to scale: "
        f"{kinds.count('Conv2d')} convolutions, {totals.params:,} parameters, {units(totals.macs)} multiply-accumulates"
    )
    page = f"{folder}/{name}.html"
    long = ' class="long"' if len(summary.rows) > 60 else ""
    return f"""
<div class="net-drawing" tabindex="0" role="region" aria-label="Drawing of {escape(name)}">
<img src="{folder}/{name}.svg" alt="{escape(said)}"{long}>
</div>
<p><a href="{page}">Open the live page of {escape(name)}</a>: point at a layer, sort the table,
walk the receptive field over a picture.</p>
<details class="net-live"><summary>The live page, here</summary>
<iframe src="{page}" title="Live page of {escape(name)}" loading="lazy"></iframe></details>
"""


class NetDirective(SphinxDirective):
    """``{net} NAME``: the drawing and the live page of one of ``NETS``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in NETS:
            raise self.error(f"expected one of {', '.join(NETS)}; got {self.arguments[0]}")
        up = "../" * self.env.docname.count("/")
        return [nodes.raw("", shown(self.arguments[0], f"{up}{FOLDER}"), format="html")]


def written(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        build(Path(app.outdir) / FOLDER)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("net", NetDirective)
    app.add_css_file("nets.css")
    app.connect("build-finished", written)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    build(Path(sys.argv[1]))
