"""How the site is built: ``make docs``, without a network; every warning is an error.

What is ours beside Sphinx stands in ``_ext``: formulas as MathML, lists of pages, signatures as a user sees them.
"""

import sys
import warnings
from pathlib import Path

import smallnets

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "smallnets"
author = copyright = "The smallnets authors"
version = release = smallnets.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",  # ours
    "page_list",  # ours
    "signatures",  # ours
    "live_pages",  # ours
    "measured",  # ours
    "draw",  # ours
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_ext", "reference_pages", "gallery/*.ipynb", "gallery/*.py"]

html_theme = "furo"
html_title = "smallnets"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
html_copy_source = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"  # of a console block, the commands alone

add_module_names = False
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88  # longer ones have a line a parameter
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shape", "Source"]
napoleon_use_rtype = False

nitpicky = True
nitpick_ignore = [("py:class", "smallnets.data.decoding.Decoder")]  # how a stream reads, which no user calls
# Names of other packages: their pages are elsewhere, and the site is built without a network.
OTHERS = "torch np numpy PIL nn collections pathlib os enum typing fractions matplotlib pandas pd"
nitpick_ignore_regex = [(r"py:.*", rf"({OTHERS.replace(' ', '|')})\b.*")]

warnings.filterwarnings("ignore", message="Matplotlib is currently using agg")
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "within_subsection_order": "figures.ReadingOrder",
    "abort_on_example_error": True,
    "image_scrapers": ("figures.scrape",),
    "matplotlib_animations": False,
    "capture_repr": (),  # what is printed alone
    "thumbnail_size": (400, 280),
    "min_reported_time": 1e9,  # seconds of this machine say nothing
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
}
