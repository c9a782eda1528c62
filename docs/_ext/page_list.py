"""The directive ``pages``: the pages of a section in the order of a reader, each with what it says in a line.

A line is ``name: what it says``. The table of contents at the side follows the same order. With ``:rest:`` the pages of
the folder that no list of this page names come behind the others, so none is lost.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Pages(SphinxDirective):
    has_content = True
    option_spec = {"rest": directives.flag}  # noqa: RUF012 - docutils' form

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        there = sorted(page.stem for page in folder.glob("*.md") if page.stem != "index")
        told = dict(line.split(": ", 1) for line in self.content if line.strip())
        names = [name for name in told if "/" in name or name in there]
        listed = self.env.current_document.setdefault("pages", [])
        listed += names
        if "rest" in self.options:
            names += [name for name in there if name not in listed]
        lines = ["```{toctree}", ":hidden:", ":maxdepth: 1", "", *names, "```", ""]
        for name in names:
            lines += [f"{{doc}}`{name}`", f": {told.get(name, '')}", ""]
        if not names:
            return []
        holder = nodes.container(classes=["pages"])
        text = StringList(lines, source=self.get_source_info()[0])
        self.state.nested_parse(text, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("pages", Pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
