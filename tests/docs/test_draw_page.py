"""The page on which LeNet-5 reads what one draws, in a real browser: it reads, shows what PyTorch computes, and fails softly."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import smallnets as sn
from serving import serving

Strokes = list[list[tuple[float, float]]]


def arc(cx: float, cy: float, rx: float, ry: float, start: int, end: int) -> list[tuple[float, float]]:
    """Part of an ellipse; 0 is to the right, 90 down."""
    angles = [math.radians(start + (end - start) * step / 12) for step in range(13)]
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]


HANDS: list[tuple[int, Strokes]] = [
    (0, [arc(0.5, 0.5, 0.4, 0.42, -60, 310)]),
    (1, [[(0.5, 0.05), (0.5, 0.95)]]),
    (2, [[*arc(0.5, 0.3, 0.28, 0.22, -160, 40), *arc(0.36, 0.78, 0.12, 0.12, -60, -270), (0.85, 0.9)]]),
    (3, [[(0.25, 0.1), (0.7, 0.1), (0.45, 0.42), *arc(0.45, 0.67, 0.28, 0.25, -90, 140)]]),
    (4, [[(0.55, 0.05), (0.25, 0.6), (0.8, 0.6)], [(0.65, 0.35), (0.55, 0.95)]]),
    (5, [[(0.3, 0.1), (0.28, 0.45), *arc(0.48, 0.66, 0.27, 0.25, -120, 150)], [(0.3, 0.1), (0.75, 0.1)]]),
    (6, [[*arc(0.6, 0.45, 0.35, 0.4, -100, -180), *arc(0.48, 0.68, 0.24, 0.24, 180, 540)]]),
    (7, [[(0.22, 0.12), (0.78, 0.12), (0.42, 0.92)]]),
    (8, [[(0.7, 0.2), *arc(0.5, 0.27, 0.2, 0.18, -30, -200), *arc(0.5, 0.73, 0.22, 0.2, -30, 180), (0.7, 0.2)]]),
    (9, [[*arc(0.48, 0.3, 0.24, 0.22, -20, 340), (0.72, 0.6), *arc(0.5, 0.75, 0.22, 0.2, 0, 120)]]),
]


@pytest.fixture(scope="module")
def folder(fetched: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched.build(tmp_path_factory.mktemp("site") / "draw")


class Opened:
    """The page with what went wrong on it and what it asked for."""

    def __init__(self, browser: Any, url: str, before: str = "", width: int = 1400, **options: Any) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        if before:
            self.page.add_init_script(before)
        self.page.goto(url)

    def settle(self) -> None:
        """Until the page has told what it sees."""
        self.page.wait_for_function(
            "session && !busy && writing <= 0 && !document.getElementById('told').matches(':empty')"
        )

    def draw(self, strokes: Strokes) -> str:
        page = self.page
        page.locator("#clear").click()
        box = page.locator("#paper").bounding_box()
        for stroke in strokes:
            for number, (x, y) in enumerate(stroke):
                page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if number == 0:
                    page.mouse.down()
            page.mouse.up()
        page.wait_for_function("!busy && !stale")
        return page.locator("#answer b").inner_text()


@pytest.fixture(scope="module")
def drawn(browser: Any, folder: Path) -> Iterator[Opened]:
    opened = Opened(browser, (folder / "index.html").as_uri(), reduced_motion="reduce")
    opened.settle()
    yield opened
    opened.page.close()
    assert opened.errors == []
    assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data", "blob"}


def test_it_opens_with_a_digit_that_it_wrote_and_reads_all_ten_of_its_own(drawn: Opened) -> None:
    page = drawn.page
    assert page.locator("#answer b").inner_text() == "3"
    read = []
    for button in page.locator("#hand button").all():
        button.click()
        page.wait_for_function("writing < 0 && !busy && !stale")
        read.append(page.locator("#answer b").inner_text())
    assert read == [str(digit) for digit in range(10)]


def test_it_reads_what_is_drawn(drawn: Opened) -> None:
    read = [drawn.draw(strokes) for _, strokes in HANDS]
    assert read[:2] == ["0", "1"]
    assert sum(name == str(digit) for name, (digit, _) in zip(read, HANDS, strict=True)) >= 9


def test_size_place_and_unit_do_not_matter(drawn: Opened) -> None:
    ways: list[Any] = []
    for size, left, top in ((1.0, 0.0, 0.0), (0.3, 0.6, 0.1), (250.0, 0.0, 30.0)):
        moved = [[(left + x * size, top + y * size) for x, y in stroke] for stroke in HANDS[2][1]]
        ways.append(drawn.page.evaluate("(strokes) => [...prepare(strokes).pixels]", moved))
    assert ways[0] == ways[1] == ways[2]
    dot = drawn.page.evaluate("[...prepare([[[0.2, 0.9]]]).counts]")
    assert sum(dot) == pytest.approx(math.pi * 2.5**2, abs=4)  # a dot is the pen's own size


def test_strokes_become_a_picture_as_the_training_pictures_did(drawn: Opened) -> None:
    found = drawn.page.evaluate(
        "(strokes) => { const { counts, pixels } = prepare(strokes); return [[...counts], [...pixels]] }", HANDS[3][1]
    )
    counts, pixels = (torch.tensor(values) for values in found)
    assert counts.max() == 16 and counts.view(8, 8)[[0, -1]].any(1).all()
    expected = F.interpolate(counts.float().view(1, 1, 8, 8) / 16 * 255, (32, 32), mode="bilinear").round()
    assert (pixels.view(1, 1, 32, 32) - expected).abs().max() <= 1


def test_the_maps_are_pytorchs(drawn: Opened) -> None:
    drawn.draw(HANDS[5][1])
    page = drawn.page
    shown = page.evaluate("layers.map(({ output, shape, values }) => [output ?? '', shape, [...values]])")
    assert [tuple(shape) for _, shape, _ in shown] == [
        *((1, 32, 32), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)),
        *((120, 1, 1), (84, 1, 1), (10, 1, 1)),
    ]
    net = sn.lenet5(weights="digits", inplace=False).eval()
    found: dict[str, torch.Tensor] = {}
    for name, layer in net.named_modules():
        layer.register_forward_hook(lambda _, __, value, name=name: found.__setitem__(name, value))
    facts = net.data_facts
    net((torch.tensor(shown[0][2]).view(1, 1, 32, 32) / 255 - facts.mean[0]) / facts.std[0])
    found["probabilities"] = found[""].softmax(1)
    for output, _, values in shown[1:]:
        torch.testing.assert_close(torch.tensor(values), found[output].detach().flatten(), atol=1e-4, rtol=1e-4)
    painted = page.evaluate(
        "layers.map(({ canvas: c }) => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)"
    )
    assert all(colours > 3 for colours in painted[:-1])


def test_maps_are_to_scale_and_tell_what_they_see(drawn: Opened) -> None:
    drawn.draw(HANDS[0][1])
    page = drawn.page
    boxes = [canvas.bounding_box() for canvas in page.locator("#flow canvas").all()]
    pixels = page.evaluate("layers.map(({ canvas }) => canvas.width)")
    assert {box["width"] / width for box, width in zip(boxes, pixels, strict=True)} == {4}
    # S4: second map, second row and column.
    page.locator("#flow canvas").nth(4).hover(position={"x": 4 * 7.5, "y": 4 * 1.5})
    assert page.locator("#seen").inner_text().startswith("S4, map 2, row 2, column 2: ")
    window, picture = page.locator(".window").bounding_box(), page.locator("#flow canvas").first.bounding_box()
    assert (window["x"] - picture["x"], window["y"] - picture["y"], window["width"]) == (16, 16, 64)
    page.mouse.move(2, 2)
    assert not page.locator(".window").is_visible()


def test_a_cleared_paper_has_no_answer(drawn: Opened) -> None:
    drawn.draw(HANDS[8][1])
    drawn.page.keyboard.press("Escape")
    drawn.page.wait_for_function("!busy && !stale")
    assert drawn.page.locator("#answer").inner_text().split() == ["·", "Draw", "a", "digit"]
    assert drawn.page.evaluate("strokes.length") == 0


def test_a_finger_draws_and_does_not_scroll(browser: Any, folder: Path) -> None:
    opened = Opened(browser, (folder / "index.html").as_uri(), width=390, has_touch=True, reduced_motion="reduce")
    opened.settle()
    page = opened.page
    page.locator("#clear").click()
    box = page.locator("#paper").bounding_box()
    touch = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate([(0.55, 0.1), (0.54, 0.3), (0.52, 0.6), (0.5, 0.9)]):
        places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": places})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("!busy && !stale")
    assert page.locator("#answer b").inner_text() == "1"
    assert page.evaluate("scrollY") == 0 and opened.errors == []
    page.close()


def test_no_width_scrolls_sideways_and_all_can_be_read(browser: Any, folder: Path) -> None:
    opened = Opened(browser, (folder / "index.html").as_uri(), reduced_motion="reduce")
    opened.settle()
    page = opened.page
    for width in (320, 390, 736, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        edges = page.evaluate(
            "[...document.querySelectorAll('main canvas, main button, .layer p span')].map((one) => one.getBoundingClientRect()).map(({ left, right }) => [left, right])"
        )
        assert all(left >= 0 and right <= width for left, right in edges)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours = page.evaluate(
            "['.layer p', '#answer span', 'header p', '.caption', '.row button', '.part span'].map((one) => getComputedStyle(document.querySelector(one)).color)"
        )
        grounds = page.evaluate(
            "['section', 'body'].map((one) => getComputedStyle(document.querySelector(one)).backgroundColor)"
        )
        assert len(set(grounds)) == 2
        assert min(contrast(ink, ground) for ink in colours for ground in grounds) >= 4.5
    page.close()
    assert opened.errors == []


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours, rgb(...)."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_control_has_a_name(drawn: Opened) -> None:
    names = drawn.page.evaluate(
        "[...document.querySelectorAll('button')].map((one) => one.ariaLabel || one.textContent.trim())"
    )
    assert len(names) == 12 and all(names)
    assert all(
        canvas.get_attribute("aria-label") or canvas.get_attribute("aria-labelledby")
        for canvas in drawn.page.locator("canvas").all()
    )


def test_a_server_is_asked_for_the_page_and_nothing_else(browser: Any, folder: Path) -> None:
    with serving(folder) as own:
        opened = Opened(browser, own, reduced_motion="reduce")
        opened.settle()
        assert opened.draw(HANDS[0][1]) == "0"
        opened.page.close()
    assert opened.errors == []
    assert all(url.startswith((own, f"blob:{own}", "data:")) for url in opened.requests)


def test_without_webassembly_there_is_a_recorded_picture(browser: Any, folder: Path) -> None:
    opened = Opened(browser, (folder / "index.html").as_uri(), before="delete WebAssembly", width=390)
    check_recorded(opened, "Your browser has no WebAssembly, so LeNet-5 cannot run here.")


def test_without_scripts_there_is_a_recorded_picture(browser: Any, folder: Path) -> None:
    opened = Opened(browser, (folder / "index.html").as_uri(), java_script_enabled=False)
    assert opened.page.locator("#recorded img").is_visible() and not opened.page.locator("#tool").is_visible()
    opened.page.close()


def test_without_the_registry_the_site_is_built_all_the_same(
    browser: Any, draw_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_page, "CACHE", tmp_path / "cache")

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to the registry")

    monkeypatch.setattr(draw_page.urllib.request, "urlopen", unreachable)
    with pytest.warns(UserWarning, match="will show a recorded picture: no route to the registry"):
        out = draw_page.build(tmp_path / "draw")
    opened = Opened(browser, (out / "index.html").as_uri())
    check_recorded(opened, "This copy of the page was made without onnxruntime-web, so LeNet-5 cannot run here.")


def test_another_file_than_the_pinned_one_is_refused(
    draw_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_page, "CACHE", tmp_path)
    draw_page.kept().write_bytes(b"cut off")
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    monkeypatch.setattr(draw_page, "PACKAGE", other.as_uri())
    with pytest.raises(OSError, match="is not the file that was tried"):
        draw_page.packed()


def check_recorded(opened: Opened, why: str) -> None:
    picture = opened.page.locator("#recorded img")
    picture.wait_for()
    assert opened.page.locator("#why").inner_text().startswith(why)
    assert picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 1000
    assert not opened.page.locator("#tool").is_visible()
    assert opened.page.evaluate("document.documentElement.scrollWidth === innerWidth")
    opened.page.close()
    assert opened.errors == []
