"""The table with a face: what is printed, drawn and compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_text
from .classic import classic
from .diff import SummaryDiff, compare
from .drawing import draw
from .html import notebook, page
from .table import Table
from .text import text


@dataclass(frozen=True)
class Summary(Table):
    """What a net is made of, call by call; ``print`` it, or look at its ``rows`` and ``totals``."""

    def training_memory(self, batch_size: int = 2) -> int:
        """Bytes that PyTorch keeps from the forward for the backward pass, in training mode.

        Args:
            batch_size: Pictures in a batch.

        Returns:
            The sum over unique storages, without parameters and buffers.

        Raises:
            ShapeError: When the model cannot run at that size.

        >>> from smallnets import lenet5, summarize
        >>> summarize(lenet5(), (1, 32, 32)).training_memory(batch_size=1)
        49040
        """
        assert self._memory is not None
        return self._memory(batch_size)

    def to_classic(self) -> str:
        """The table in the layout of the older tools: layer and number, output shape, parameters, megabytes."""
        return classic(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """One self-contained page: the net drawn to scale, its table, its receptive field over a picture.

        Args:
            path: Where to write it too.

        Returns:
            The page's text.
        """
        text = page(self)
        if path is not None:
            write_text(path, text, "summary")
        return text

    def plot(self, path: str | Path | None = None) -> Any:
        """The net as feature-map blocks to scale, through matplotlib.

        Args:
            path: Where to write it, as the suffix says (.png, .svg, .pdf).

        Returns:
            The matplotlib figure.
        """
        return draw(self, path)

    def diff(self, other: Table) -> SummaryDiff:
        """What ``other`` adds to, removes from and changes in this net."""
        return compare(self, other)

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return notebook(self)
