"""Writes the pages of docs/reference that are made from the program: python docs/write_reference.py.

``make docs`` does it first, and a test compares what is written with what would be.
"""

import subprocess
import sys
from pathlib import Path

from reference_pages import PAGES

FOLDER = Path(__file__).parent / "reference"

if __name__ == "__main__":
    paths = [FOLDER / f"{name}.md" for name in PAGES]
    for path in paths:
        path.write_text(PAGES[path.stem](), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *paths], check=True)  # breaks long lines
