"""Takes the pictures that the page of docs/draw_page.py shows where it cannot run: python docs/record_draw_page.py.

Needs playwright and a chromium (``CHROMIUM``), as the tests of pages do.
"""

import io
import os
import tempfile
from pathlib import Path

from draw_page import SOURCE, build
from PIL import Image
from playwright.sync_api import sync_playwright

# What cannot be pressed on a picture, and what the page says beside it.
LEAVE_OUT = ".row, .hand, .words, .caption, header { display: none !important; } #tool h2 { visibility: hidden; }"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        build(Path(folder) / "draw")
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"))
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": 1240, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
            )
            page.goto((Path(folder) / "draw" / "index.html").as_uri())
            page.locator("#told:not(:empty)").wait_for(state="attached")
            page.add_style_tag(content=LEAVE_OUT)
            taken = Image.open(io.BytesIO(page.locator("#tool").screenshot()))
            taken.convert("RGB").save(SOURCE / f"recorded-{scheme}.webp", quality=80, method=6)
        browser.close()


if __name__ == "__main__":
    main()
