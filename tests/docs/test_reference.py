"""The reference: its generated pages are up to date, and every public name stands on exactly one page."""

import importlib
import inspect
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer

import smallnets as sn
from smallnets.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
try:
    from reference_pages import PAGES
    from reference_pages.command_line import commands
    from reference_pages.markdown import table
finally:
    sys.path.remove(str(DOCS))

REFERENCE = DOCS / "reference"


def squeezed(text: str) -> str:
    """Without what breaking long lines may change."""
    return "".join(character for character in text if character not in " \n,")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    import torch

    torch.manual_seed(0)
    written = (REFERENCE / f"{name}.md").read_text(encoding="utf-8")
    assert squeezed(written) == squeezed(PAGES[name]()), "run: python docs/write_reference.py"


def documented() -> Counter[str]:
    """What the pages document, and how often."""
    found = Counter[str]()
    for page in REFERENCE.rglob("*.md"):
        found.update(re.findall(r"^\.\. auto(?:function|class|exception):: (\S+)", page.read_text(), flags=re.M))
    return found


def public() -> list[str]:
    """Every public name that is a function or a class."""
    names = [f"smallnets.{name}" for name in sn.__all__ if not name.startswith("_") and name not in ("data", "shapes")]
    names += [f"smallnets.data.{name}" for name in sn.data.__all__]
    return names + [f"smallnets.shapes.{name}" for name, made in vars(sn.shapes).items() if inspect.isfunction(made)]


@pytest.mark.parametrize("name", public())
def test_a_public_name_stands_on_one_page(name: str) -> None:
    assert documented()[name] == 1


def test_what_is_documented_is_there() -> None:
    for name in documented():
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


def test_the_list_of_names_is_whole() -> None:
    face = Path(sn.__file__ or "").with_suffix(".pyi").read_text()
    assert set(re.findall(r" as (\w+)$", face, flags=re.M)) == set(sn.__all__)
    assert {"smallnets.fit", "smallnets.data.load", "smallnets.shapes.conv_output_size"} <= set(public())


def test_the_command_line_is_whole() -> None:
    program: Any = typer.main.get_command(app)
    page = (REFERENCE / "command-line.md").read_text()
    sections = dict(zip(*[iter(re.split(r"^## smallnets (.+)$", page, flags=re.M)[1:])] * 2, strict=True))
    found = commands(program)
    assert list(sections) == [path for path, _ in found] and len(found) > 10
    for path, command in found:
        for option in (name for each in command.params for name in each.opts if name.startswith("--")):
            assert option == "--help" or re.search(rf"`[^`]*{option}\b[^`]*`", sections[path]), (path, option)


def test_a_page_names_every_net_recipe_and_rule() -> None:
    from smallnets.diagnosis.registry import RULES
    from smallnets.experiments.recipe import list_recipes

    for page, names in (("nets", sn.list_models()), ("recipes", list_recipes()), ("rules", RULES)):
        text = (REFERENCE / f"{page}.md").read_text()
        assert [name for name in names if name not in text] == []


def test_a_table_leaves_out_what_is_empty_and_escapes_bars() -> None:
    assert (
        table(["a", "b", "n:"], [["x|y", None, 1000], ["", "", 2]])
        == "| a | n |\n|---|---:|\n| x\\|y | 1,000 |\n|  | 2 |\n"
    )


SECTIONS = [*sorted(DOCS.glob("*/index.md")), REFERENCE / "api" / "index.md"]


@pytest.mark.parametrize("index", SECTIONS, ids=lambda path: path.parent.name)
def test_a_section_says_what_each_of_its_pages_is_about(index: Path) -> None:
    told = re.findall(r"^([\w/-]+): \S.*[.?]$", index.read_text(), flags=re.M)
    assert len(told) == len(set(told))
    assert sorted({page.stem for page in index.parent.glob("*.md")} - {"index", *told}) == []
