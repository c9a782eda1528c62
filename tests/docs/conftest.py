"""A headless browser, and what the site's pages run on: both are skipped where they are not there."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no chromium at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def draw_page() -> Any:
    """A copy of the script's own, which a test may change."""
    return script()


@pytest.fixture(scope="module")
def fetched() -> Any:
    """The script, with onnxruntime-web in its cache."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    module = script()
    if not module.kept().exists():
        pytest.skip("onnxruntime-web was not fetched: python docs/draw_page.py")
    return module


def script() -> Any:
    spec = importlib.util.spec_from_file_location("draw_page", DOCS / "draw_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
