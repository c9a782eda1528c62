"""The README's quickstart as a notebook, but for fewer epochs: executed, rendered and looked at in a browser."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
SHOWN = ("train", "history", "metrics", "sn.predict(net, val)", "sn.find_lr(net, train, steps=40)")
HEAVY = 300_000  # bytes that no view exceeds


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The executed notebook: the quickstart in one cell, and what a student looks at in the others."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    import nbclient
    import nbformat

    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (code,) = [block for block in blocks if "epochs=20" in block]
    cells = [f"import torch\ntorch.manual_seed(0)\n{code.replace('epochs=20', 'epochs=3')}", *SHOWN]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        client = nbclient.NotebookClient(made, timeout=300, resources={"metadata": {"path": str(folder)}})
        return client.execute()


def outputs(notebook: Any, kind: str) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.outputs if output.output_type == kind]


def test_nothing_is_said_on_stderr(notebook: Any) -> None:
    said = outputs(notebook, "stream")
    assert {each.name for each in said} == {"stdout"}  # what the quickstart prints
    text = "".join(each.text for each in said)
    assert "61,706" in text and "%|" not in text and "img/s" not in text


def test_the_run_is_a_bar_that_the_notebook_draws(notebook: Any) -> None:
    (drawn,) = outputs(notebook, "display_data")
    html, plain = drawn.data["text/html"], drawn.data["text/plain"]
    assert "width:100.0%" in html and "epoch 3/3" in html
    assert [line[:9] for line in plain.splitlines() if "val_loss" in line] == [f"epoch {k}/3" for k in (1, 2, 3)]
    assert "<script" not in html


def test_what_is_looked_at_is_drawn(notebook: Any) -> None:
    results = [result.data["text/html"] for result in outputs(notebook, "execute_result")]
    assert len(results) == len(SHOWN)
    for html in results:
        assert len(html) < HEAVY
        assert "<script" not in html and "http" not in html


@pytest.fixture(scope="module")
def page(notebook: Any, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    path = tmp_path_factory.mktemp("page") / "notebook.html"
    head = "<!doctype html><meta charset='utf-8'><meta name='color-scheme' content='light dark'>"
    path.write_text(f"{head}<body>{html}</body>", encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    errors: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    yield opened
    if "LOOK" in os.environ:  # LOOK=folder pytest ...: for one's own eyes
        opened.screenshot(path=str(Path(os.environ["LOOK"]) / "notebook.png"), full_page=True)
    opened.close()
    assert errors == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_curves_pictures_and_tables_are_seen(page: Any) -> None:
    charts = page.locator(".sn-set svg")
    assert charts.count() == 3  # loss, accuracy, and the rates
    for place in range(3):
        box = charts.nth(place).bounding_box()
        assert box["width"] > 200 and box["height"] > 100
    assert page.locator(".sn-set polyline").count() == 5
    assert page.locator(".sn-set figure img").count() == 30
    assert page.locator(".sn-set img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    assert page.locator(".sn-set td.c").count() == 100


def test_text_is_readable_in_light_and_dark(page: Any) -> None:
    ink = "getComputedStyle(document.querySelector('.sn-set table td')).color"
    label = "getComputedStyle(document.querySelector('.sn-set svg text')).fill"
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        seen[scheme] = page.evaluate(ink), page.evaluate(label)
    assert seen == {"light": ("rgb(0, 0, 0)",) * 2, "dark": ("rgb(255, 255, 255)",) * 2}
