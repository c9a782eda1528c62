"""The README as the package index shows it, where a link to a file beside it leads nowhere.

With a ``Repository`` under ``[project.urls]`` such a link leads there; until there is one, its words stand without it.
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)]+)\)")


def for_the_index(text: str, repository: str | None) -> str:
    """The page with every relative link made absolute, or taken out."""

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if repository is None:
            return "" if picture else words
        folder = (Path(__file__).parent / target.partition("#")[0]).is_dir()
        place = "raw" if picture else "tree" if folder else "blob"
        return f"{picture}[{words}]({repository.rstrip('/')}/{place}/main/{target})"

    return LINK.sub(link, text)


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling, as ``[tool.hatch.metadata.hooks.custom]`` says."""

    def update(self, metadata: dict) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_the_index(text, repository)}
