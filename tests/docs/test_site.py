"""The site as a browser shows it: narrow and wide, light and dark; ``make test-docs``.

The site is built for it, or taken as it is from the folder that the environment variable SITE names.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from serving import serving

ROOT = Path(__file__).parents[2]
LOOKS = [(width, theme) for width in (390, 1400) for theme in ("light", "dark")]
# The checker of contrast, from the npm registry; its integrity is the registry's sha512.
AXE = "axe-core@4.11.0"
AXE_SHA512 = "ilYanEU8vxxBexpJd8cWM4ElSQq4QctCLKih0TSfjIfCQTeyH/6zVrmIJfLPrKTKJRbiG+cfnZbQIjAlJmF1jQ=="

pytestmark = pytest.mark.slow
looks = pytest.mark.parametrize(("width", "theme"), LOOKS, ids=str)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    if "SITE" in os.environ:
        return Path(os.environ["SITE"]).resolve()
    pytest.importorskip("furo", reason="the packages of the site are not installed: make test-docs")
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", built]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> list[str]:
    """Every page but the listings of the source, of which one stands for all."""
    found = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html"))
    listings = [page for page in found if page.startswith("_modules/")]
    return [page for page in found if page not in listings[1:]]


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    with serving(site) as url:
        yield url


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core, its file checked against the digest above."""
    folder = ROOT / "docs" / "_build" / "axe"
    packed = folder / (AXE.replace("@", "-") + ".tgz")
    if not packed.exists():
        if shutil.which("npm") is None:
            pytest.skip(f"npm is not installed, so {AXE} cannot be fetched")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", AXE, "--silent", "--pack-destination", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"{AXE} cannot be fetched from the npm registry: {done.stderr[-200:]}")
    assert hashlib.sha512(packed.read_bytes()).digest() == b64decode(AXE_SHA512), f"{packed} is not {AXE}: delete it"
    with tarfile.open(packed) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


class Watched:
    """A tab that notes what goes wrong on its pages, and what they ask for elsewhere."""

    def __init__(self, browser: Any, address: str, width: int, theme: str) -> None:
        self.faults: list[str] = []
        self.address, self.at = address, ""
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.page.on("console", self.said)
        self.page.on("pageerror", lambda error: self.note(f"an error: {error}"))
        self.page.on("request", self.asked)
        self.page.on("response", lambda got: got.status < 400 or self.note(f"{got.status} for {got.url}"))

    def note(self, fault: str) -> None:
        self.faults.append(f"{self.at}: {fault}")

    def said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.note(f"the console says: {message.text}")

    def asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.note(f"asks for {request.url}")

    def open(self, page: str) -> Any:
        self.at = page
        self.page.goto(self.address + page, wait_until="load")
        return self.page


WIDE = """() => [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1
    && !one.closest('.sidebar-drawer, .toc-drawer, pre, .table-wrapper, .math, .sd-tab-set')).map(one => one.outerHTML
    .slice(0, 120)).slice(0, 3)"""
PICTURES = """() => [...document.images].filter(one => one.loading !== 'lazy' || one.complete).flatMap(one =>
    (one.naturalWidth ? [] : ['no picture at ' + one.src]).concat(one.hasAttribute('alt') ? [] : ['no text for ' + one.src]))"""


@looks
def test_every_page_fits_and_says_nothing(browser: Any, address: str, pages: list[str], width: int, theme: str) -> None:
    watched = Watched(browser, address, width, theme)
    for name in pages:
        page = watched.open(name)
        page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(one => one.loading = 'eager')")
        page.evaluate("Promise.all([...document.images].map(one => one.decode().catch(() => null)))")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            watched.note(f"is wider than {width}: {page.evaluate(WIDE)}")
        for fault in page.evaluate(PICTURES):
            watched.note(fault)
    watched.page.close()
    assert watched.faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_every_page(browser: Any, address: str, pages: list[str], axe: str, theme: str) -> None:
    """What axe finds against WCAG A and AA: contrast, names of links, what the keyboard reaches."""
    watched = Watched(browser, address, 1400, theme)
    for name in pages:
        page = watched.open(name)
        page.evaluate(axe)
        found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']}).then(found => found.violations)")
        for rule in found:
            for node in rule["nodes"][:3]:
                watched.note(f"{rule['id']}: {node['html'][:150]} {node['failureSummary'][-300:]}")
    watched.page.close()
    assert watched.faults == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("receptive field", "gallery/plot_receptive_fields"),
        ("resume", "reference/api/training"),
        ("onnx", "reference/api/out"),
    ],
)
def test_the_search_finds(browser: Any, address: str, words: str, page: str) -> None:
    watched = Watched(browser, address, 1400, "light")
    watched.open(f"search.html?q={words.replace(' ', '+')}")
    watched.page.wait_for_function(
        "document.querySelector('#search-results .search-summary')?.innerText.match(/found/)"
    )
    found = watched.page.locator("#search-results li a").evaluate_all("links => links.map(one => one.href)")
    watched.page.close()
    assert any(page in link for link in found), found
    assert watched.faults == []


class Links(HTMLParser):
    """What a page links to, and the places of it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.places.update(value for name in ("id", "name") if (value := known.get(name)))
        if target := known.get("src" if tag in ("img", "script", "source") else "href"):
            self.targets.append(target)


def test_no_link_is_broken(site: Path) -> None:
    read = {page.relative_to(site).as_posix(): Links(page.read_text()) for page in sorted(site.rglob("*.html"))}
    broken, elsewhere = [], set[str]()
    for name, links in read.items():
        for target in links.targets:
            if urlsplit(target).scheme in ("http", "https"):
                elsewhere.add(target)
            if urlsplit(target).scheme:
                continue
            path, place = urldefrag(urljoin(f"/{name}", target))
            path = unquote(urlsplit(path).path).lstrip("/")
            path = path + "index.html" if path.endswith("/") or not path else path
            if not (site / path).is_file():
                broken.append(f"{name}: no file for {target}")
            elif place and path in read and unquote(place) not in read[path].places:
                broken.append(f"{name}: no such place: {target}")
    print("Links to elsewhere, which are not followed:", *sorted(elsewhere), sep="\n  ")
    assert broken == []
