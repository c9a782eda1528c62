"""Every code block of the docs and the README, run as a reader would."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from docs.pages import blocks, run

ROOT = Path(__file__).parents[2]
# What is made from the program is tested where it comes from: the rules' examples with the rules.
MADE = ("nets", "recipes", "command-line", "rules", "errors")
WRITTEN = (page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in WRITTEN if not (page.parent.name == "reference" and page.stem in MADE)),
]


def paint(path: Path, label: int, number: int, side: int) -> None:
    """A picture whose colour and stripes tell its class."""
    random = np.random.default_rng(1000 * label + number)
    pixels = random.integers(0, 90, (side, side, 3))
    step = 2 + label
    pixels[:: step + 1, :, label % 3] += 150
    pixels[:, :: 2 * step, (label + 1) % 3] += 60 * (label // 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: ``pets`` (split/class/image), ``cifar10`` (likewise, ten classes), ``photos``, ``photo.jpg``."""
    root = tmp_path_factory.mktemp("things")
    cifar10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for name, classes, side, counts in (("pets", ("cat", "dog"), 64, (24, 8)), ("cifar10", cifar10, 32, (16, 4))):
        for split, count in zip(("train", "test"), counts, strict=True):
            for label, kind in enumerate(classes):
                for number in range(count):
                    paint(
                        root / name / split / kind / f"{number:04d}.png", label, number + 500 * (split == "test"), side
                    )
    for number in range(4):
        paint(root / "photos" / f"{number}.jpg", number % 2, 900 + number, 80)
    paint(root / "photo.jpg", 0, 999, 120)
    return root


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)).removeprefix("docs/"))
def test_a_page_says_what_runs(
    page: Path, things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not blocks(page):
        return
    for thing in things.iterdir():
        (tmp_path / thing.name).symlink_to(thing)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # a page imports the files that it shows
    torch.manual_seed(0)
    run(page, tmp_path, capsys)


def test_the_readme_reports_what_was_measured() -> None:
    benchmarks = ROOT / "benchmarks"
    text = (ROOT / "README.md").read_text()
    section = text.partition("## Reported systems, rebuilt")[2].partition("\n## ")[0]
    files = [benchmarks / "gpu.json", *benchmarks.glob("results/**/*.json"), *benchmarks.glob("results/**/*.csv")]
    known = "".join(path.read_text() for path in files)
    measured = {f"{float(number):.4f}" for number in re.findall(r"\d\.\d+", known)}
    told = set(re.findall(r"0\.\d{4}", section))
    assert len(told) > 30
    assert told - measured == set()
