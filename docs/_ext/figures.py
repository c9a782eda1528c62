"""The gallery's pictures: every matplotlib figure that a block of an example makes, with an alternative text.

Our plots make figures of their own, which pyplot does not know, so they are looked for among the block's names.
"""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.sorting import FileNameSortKey

ORDER = ("first_net", "summary", "receptive_fields", "pyramid", "shortcuts", "explain", "confusion", "augmentation")


class ReadingOrder(FileNameSortKey):
    """The easiest examples first; those that ``ORDER`` leaves out come last."""

    def __call__(self, filename: str) -> tuple[int, str]:
        name = filename.removeprefix("plot_").removesuffix(".py")
        return ORDER.index(name) if name in ORDER else len(ORDER), name


TEMPLATE = """
.. image-sg:: /{path}
   :alt: {alt}
   :srcset: /{path}
   :class: sphx-glr-single-img
"""


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save what is new among the figures; the text that shows them."""
    import matplotlib.pyplot as plt

    title = Path(block_vars["src_file"]).read_text(encoding="utf-8").splitlines()[1]
    text = ""
    for name, figure in block_vars["example_globals"].items():
        if not isinstance(figure, Figure) or getattr(figure, "was_shown", False):
            continue
        figure.was_shown = True  # type: ignore[attr-defined]
        path = Path(next(block_vars["image_path_iterator"]))
        figure.savefig(path, dpi=110, facecolor="white")
        inside = path.relative_to(gallery_conf["src_dir"]).as_posix()
        text += TEMPLATE.format(path=inside, alt=f"{title}: {name}")
    plt.close("all")
    return text
