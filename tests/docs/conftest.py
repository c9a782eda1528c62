"""What the site's pages run on; their tests are skipped where it is not there."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


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
