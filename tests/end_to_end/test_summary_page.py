"""The page of a net in a real browser: it draws, sorts, answers to the pointer and the keyboard, and logs no error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import smallnets as sn
from smallnets import Summary, summarize


@pytest.fixture(scope="module")
def resnet() -> Summary:
    with torch.device("meta"):
        net = torchvision.models.resnet18()
    return summarize(net, (3, 224, 224))


class Opened:
    """A page with what went wrong on it and what it asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def opened(browser: Any, resnet: Summary, tmp_path: Path) -> Iterator[Opened]:
    resnet.to_html(tmp_path / "net.html")
    opened = Opened(browser, tmp_path / "net.html")
    yield opened
    opened.page.close()
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def test_it_draws_the_net(opened: Opened, resnet: Summary) -> None:
    page = opened.page
    assert page.locator("h1").inner_text() == "ResNet"
    # The input, 20 convolutions, 2 pools, 8 additions, 1 linear layer.
    assert page.locator(".block").count() == 32
    # Each addition's shortcut; in three of them also the map that goes past the convolutions to the projection.
    assert page.locator(".arc").count() == 11
    assert page.locator("tbody tr").count() == len(resnet.rows)
    assert "11,689,512" in page.locator(".figures").inner_text()


def test_blocks_are_to_scale(opened: Opened) -> None:
    fronts = opened.page.locator(".block .front")

    def sides(block: int) -> tuple[float, float]:
        front = fronts.nth(block)
        return float(front.get_attribute("width") or 0), float(front.get_attribute("height") or 0)

    (_, whole), (_, half), (narrow, quarter) = sides(0), sides(1), sides(3)
    wide, eighth = sides(9)
    assert whole == pytest.approx(2 * half) == pytest.approx(4 * quarter) == pytest.approx(8 * eighth)
    assert wide == pytest.approx(2 * narrow, rel=0.01) or narrow == 2


def test_a_heading_sorts_and_turns_round(opened: Opened, resnet: Summary) -> None:
    page = opened.page

    def column() -> list[int]:
        cells = page.locator("tbody tr td:nth-child(7)").all_inner_texts()
        return [int(cell.replace(",", "") or 0) for cell in cells]

    heading = page.locator("th[data-key=macs]")
    in_order = [row.macs for row in resnet.rows]
    assert column() == in_order
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column() == sorted(in_order, reverse=True)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(in_order)


def test_hovering_and_tapping_show_a_layer(opened: Opened) -> None:
    page = opened.page
    page.locator(".block").nth(1).hover()
    assert page.locator("#layer").inner_text() == "conv1 · Conv2d"
    assert "118,013,952" in page.locator("#numbers").inner_text()
    assert page.locator("tbody tr.on td").nth(1).inner_text() == "conv1"
    page.locator("tbody tr").nth(3).click()
    assert page.locator("#layer").inner_text() == "maxpool · MaxPool2d"
    assert page.locator(".block.on").get_attribute("aria-label") == "maxpool MaxPool2d: 64 maps of 56\u00d756"
    page.locator(".block").nth(4).focus()
    assert page.locator("#layer").inner_text() == "layer1.0.conv2 · Conv2d"


def test_the_field_grows_as_one_walks(opened: Opened, resnet: Summary) -> None:
    page = opened.page
    slider, window = page.locator("#walk"), page.locator("#window")
    widths: list[float] = []
    for place in (0, 1, 5, 20, 40):
        slider.fill(str(place))
        widths.append(float(window.get_attribute("width") or 0))
    fields = [1.0, *(float((resnet.rows[place - 1].receptive_field or (0,))[0]) for place in (1, 5, 20))]
    assert widths[:4] == fields
    assert widths == sorted(widths)
    before = page.locator("#layer").inner_text()
    page.locator("#forth").click()
    assert page.locator("#layer").inner_text() != before
    page.locator("#back").click()
    assert page.locator("#layer").inner_text() == before


def test_light_and_dark(browser: Any, resnet: Summary, tmp_path: Path) -> None:
    resnet.to_html(tmp_path / "net.html")

    def paper(opened: Opened) -> str:
        return opened.page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = Opened(browser, tmp_path / "net.html", color_scheme="light")
    dark = Opened(browser, tmp_path / "net.html", color_scheme="dark")
    assert paper(light) == "rgb(247, 246, 242)"
    assert paper(dark) == "rgb(17, 20, 26)"
    dark.page.locator("#theme").click()
    assert paper(dark) == paper(light)
    for opened in (light, dark):
        opened.page.close()


def test_a_telephone_has_no_sideways_scroll(browser: Any, resnet: Summary, tmp_path: Path) -> None:
    resnet.to_html(tmp_path / "net.html")
    opened = Opened(browser, tmp_path / "net.html")
    opened.page.set_viewport_size({"width": 390, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    opened.page.close()


class Script(nn.Module):
    """A name that would end the page's script if it were not escaped."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("</script><b>", nn.Linear(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, "</script><b>")(x)


def test_odd_nets_have_a_page_too(browser: Any, tmp_path: Path) -> None:
    nets: list[tuple[nn.Module, Any]] = [
        (Script(), (4,)),
        (nn.LSTM(4, 4), (3, 4)),
        (sn.lenet5(variant="1998"), (1, 32, 32)),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 9)), (3, 8, 8)),
    ]
    for net, size in nets:
        summary = summarize(net, size)
        summary.to_html(tmp_path / "net.html")
        opened = Opened(browser, tmp_path / "net.html")
        assert opened.page.locator("tbody tr").count() == len(summary.rows)
        assert opened.page.locator("[role=alert]").count() == (summary.failure is not None)
        opened.page.locator("tbody tr").last.click()
        opened.page.close()
        assert opened.errors == []


def test_a_notebook_shows_a_table(resnet: Summary) -> None:
    html = resnet._repr_html_()
    assert html.count("<tr>") == len(resnet.rows) + 1
    assert "<script" not in html


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_drawing_is_written(resnet: Summary, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"net.{suffix}"
    resnet.plot(path)
    start = path.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if suffix == "png" else b"<?xml" in start
