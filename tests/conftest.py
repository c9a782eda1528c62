"""What the tests share: threads, hypothesis profiles, a browser, small real data."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

torch.set_num_threads(1)  # xdist runs one worker a core

CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

collect_ignore = ["typing"]  # for the type checkers; its mistakes are on purpose

settings.register_profile("dev", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cuda", help="where the tests marked gpu run; cpu is a rehearsal")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; tests that want it are skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no chromium at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder split/class/image of small pictures: blots whose colour and place tell the class."""

    def make(
        classes: tuple[str, ...] = ("cat", "dog"),
        train: int = 20,
        test: int = 6,
        size: tuple[int, int] = (16, 16),
        suffix: str = "png",
        grey: bool = False,
        name: str = "pictures",
    ) -> Path:
        random = np.random.default_rng(0)
        root = tmp_path / name
        for split, count in (("train", train), ("test", test)):
            for label, kind in enumerate(classes):
                folder = root / split / kind
                folder.mkdir(parents=True)
                for number in range(count):
                    pixels = random.integers(0, 60, (*size, 3), dtype=np.uint8)
                    pixels[2 + 3 * label : 8 + 3 * label, 3:9, label % 3] += 190
                    picture = Image.fromarray(pixels)
                    (picture.convert("L") if grey else picture).save(folder / f"{number:03d}.{suffix}")
        return root

    return make
