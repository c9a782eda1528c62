"""What measuring gives: ``Metrics`` from ``evaluate``, ``Predictions`` from ``predict``."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.imageset import ImageSet
from ..data.names import listed
from ..errors import DataError, OptionError, check_choice, check_int, check_number, message, shortened
from ..files import write_text
from ..spreadsheet import csv_text
from .records import PlanRecord
from .views import metrics_page, predictions_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Metrics:
    """How well a net does on a set; accuracies are fractions in [0, 1].

    Attributes:
        loss: Mean cross entropy a sample, in nats (or the mean of the loss that was given).
        accuracy: Share of samples whose largest logit is the label's.
        topk: Share of samples whose label is among the k largest logits, by k.
        per_class: Accuracy of each class; NaN for one without samples.
        confusion: (classes, classes) counts; rows are the true class, columns the predicted one.
        n: Samples measured, each once.
        plan: How it was computed.
        notes: What else there is to know, such as classes without samples.
    """

    loss: float
    accuracy: float
    topk: dict[int, float]
    per_class: dict[str, float]
    confusion: Tensor
    n: int
    plan: PlanRecord = field(default_factory=PlanRecord)
    notes: tuple[str, ...] = ()

    def plot_confusion(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the confusion matrix; save it when a path is given."""
        from ..plots import plot_confusion

        return plot_confusion(self.confusion.numpy(), list(self.per_class), self.accuracy, path)

    def to_dict(self) -> dict[str, object]:
        """Everything as JSON has it: ranks as text, the confusion as lists, None for what is not a number."""
        found = {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**found, "confusion": self.confusion.tolist()}

    def to_json(self, path: str | os.PathLike[str] | None = None, *, indent: int | None = None) -> str:
        """``to_dict`` as JSON text, also written to ``path`` if there is one."""
        if indent is not None:
            check_int("to_json", "indent", indent, 0)
            check_number("to_json", "indent", indent, 0, below=100)
        text = json.dumps(self.to_dict(), indent=indent)
        if path is not None:
            write_text(path, text + "\n")
        return text

    def _repr_html_(self) -> str:
        return metrics_page(self)


@dataclass(frozen=True)
class Predictions:
    """What a net says of each picture.

    Attributes:
        ids: A name for each picture.
        labels: (N,) int64, the likeliest class.
        probabilities: (N, classes) float32, softmax of the logits.
        classes: Names of the classes.
        plan: How they were computed, and how well that agrees with fp32 where it is not.
        left_out: Pictures that could not be read, which are not among the others, and why.
        pictures: What was asked, one a prediction, for a notebook to show; None where it comes in batches only.
    """

    ids: tuple[str, ...]
    labels: Tensor
    probabilities: Tensor
    classes: tuple[str, ...]
    plan: PlanRecord = field(default_factory=PlanRecord)
    left_out: dict[str, str] = field(default_factory=dict)
    pictures: object = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    def to_csv(self, path: str | os.PathLike[str], *, columns: Sequence[str] | None = None, raw: bool = False) -> None:
        """Write id, predicted class and a probability a class, sorted by id, numbers in ids by value.

        Args:
            path: The file.
            columns: ``"id"``, ``"predicted"``, or a class for its probability, each under that name; by default all.
            raw: Write names as they are. Else one that a spreadsheet would run as a formula, which begins with ``=``,
                ``+``, ``-`` or ``@``, gets an apostrophe in front.

        Raises:
            ValueError: When a column is none of those.
            RunError: When it cannot be written.
        """
        rows = [*self.rows(columns)]
        order = sorted(range(len(self)), key=lambda row: natural(self.ids[row]))
        write_text(path, csv_text([self.header(columns), *(rows[row] for row in order)], raw), "Predictions")

    def header(self, columns: Sequence[str] | None = None) -> list[str]:
        """Names of what ``rows`` gives."""
        if columns is None:
            return ["id", "predicted", *(f"p_{name}" for name in self.classes)]
        return self._chosen("header", columns)

    def _chosen(self, who: str, columns: Sequence[str]) -> list[str]:
        """The columns that were asked for, each of which there is."""
        if isinstance(columns, str | bytes) or not isinstance(columns, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message(who, "columns to be a list of names", shortened(repr(columns), 80)))
        for name in columns:
            check_choice(who, "every column", name, ("id", "predicted", *self.classes))
        return [*columns]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[list[str]]:
        """A row a picture, as text: id, predicted class and a probability a class, or the columns of these."""
        known = ("id", "predicted", *self.classes)
        kept = range(len(known)) if columns is None else [known.index(name) for name in self._chosen("rows", columns)]
        for name, label, shares in zip(self.ids, self.labels.tolist(), self.probabilities.tolist(), strict=True):
            row = [name, self.classes[label], *(f"{share:.6f}" for share in shares)]
            yield [row[column] for column in kept]

    def records(self) -> list[dict[str, object]]:
        """A dict a picture, as JSON has it: id, predicted class, and the probability of each class by name."""
        found = zip(self.ids, self.labels.tolist(), self.probabilities.tolist(), strict=True)
        return [
            {"id": name, "predicted": self.classes[label], "probabilities": dict(zip(self.classes, each, strict=True))}
            for name, label, each in found
        ]

    def grid(self, images: Tensor | ImageSet, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the first pictures with their predicted class; the true one where an ImageSet knows it, else their name.

        Raises:
            DataError: When there are fewer pictures than predictions.
        """
        from ..plots import plot_grid

        pictures = images.images if isinstance(images, ImageSet) else images
        if not isinstance(pictures, Tensor) or pictures.dim() == 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(message("grid", "pictures as a tensor or an ImageSet", f"a {type(pictures).__name__}"))
        if len(pictures) != len(self):
            raise DataError(message("grid", f"the {len(self)} pictures that were predicted", len(pictures)))
        true = None
        if isinstance(images, ImageSet):
            true = [images.classes[label] for label in images.labels.tolist()]
        predicted = [self.classes[label] for label in self.labels.tolist()]
        sure = self.probabilities.max(dim=1).values.tolist() if len(self) else []
        return plot_grid(pictures, predicted, sure, true, path, names=self.ids)

    def _repr_html_(self) -> str:
        return predictions_page(self)


def plain(value: object) -> object:
    """Numbers, texts, dicts and sequences as JSON has them: keys are text, and what is not finite is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def natural(text: str) -> list[Any]:
    """A sorting key by which ``img2`` comes before ``img10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def metrics_from(
    losses: np.ndarray,
    hits: np.ndarray,
    confusion: Tensor,
    ranks: tuple[int, ...],
    classes: tuple[str, ...],
    plan: PlanRecord,
) -> Metrics:
    """Metrics out of a row a batch, summed in batch order in float64.

    Args:
        losses: (batches, 2): the sum of a batch's losses, and the weight that it is the sum of.
        hits: (batches, ranks): how many labels were among the largest logits.
        confusion: (classes, classes) counts.
        ranks: Of ``hits``.
        classes: Names.
        plan: How it was computed.
    """
    n = int(confusion.sum())
    right = confusion.diagonal()
    seen = confusion.sum(dim=1)
    per_class = {
        name: (int(r) / int(s) if s else float("nan")) for name, r, s in zip(classes, right, seen, strict=True)
    }
    total, weight = 0.0, 0.0
    for loss, counts in losses.tolist():  # one after the other: the same sum on any number of processes
        total, weight = total + loss, weight + counts
    topk = {rank: int(hits[:, place].sum()) / n for place, rank in enumerate(ranks)}
    absent = [name for name, count in zip(classes, seen.tolist(), strict=True) if not count]
    notes = (f"no samples of {listed(absent)}, whose accuracy is not a number",) if absent else ()
    mean = total / weight if weight else float("nan")
    return Metrics(mean, int(right.sum()) / n, topk, per_class, confusion, n, plan, notes)


def top_hits(logits: Tensor, labels: Tensor, ranks: tuple[int, ...]) -> Tensor:
    """How many labels are among the k largest logits, for each k: (ranks,); of equal ones the first, as for argmax."""
    own = logits.gather(1, labels[:, None])
    first = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    before = ~(logits <= own) | ((logits == own) & first)  # one that is no number stands before all
    places = before.sum(dim=1)
    hits = [(places < rank).sum() for rank in ranks]
    return torch.stack(hits) if hits else torch.zeros(0, dtype=torch.int64, device=logits.device)
