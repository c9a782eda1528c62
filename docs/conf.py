"""How the site is built: ``make docs``, without a network; every warning is an error."""

import sys
from pathlib import Path

import smallnets

sys.path.insert(0, str(Path(__file__).parent))

project = "smallnets"
author = "The smallnets authors"
copyright = "The smallnets authors"
version = release = smallnets.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "live_pages",
    "measured",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "smallnets"
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

nitpicky = True
# Names of other packages: their pages are elsewhere, and the site is built without a network.
nitpick_ignore_regex = [(r"py:.*", r"(torch|np|numpy|PIL|nn|collections|pathlib|os|typing)\b.*")]
