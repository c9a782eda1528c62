"""``predict``: what a net says of each picture; whole, or written a batch at a time."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.imageset import ImageStream
from ..files import told_when_unwritten, whole_file
from .evaluate import forward, ready
from .feed.samples import Array, DataLike
from .metrics import Predictions, cell, natural
from .options import Precision


def predict(
    model: nn.Module,
    data: DataLike | Array,
    *,
    batch_size: int = 256,
    precision: Precision = "auto",
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Predictions:
    """What a net says of each picture, with probabilities.

    Args:
        model: A net that returns logits; left as it was.
        data: As for ``evaluate``, or images alone, (N, C, H, W), as a tensor or an array.
        batch_size: Samples at a time.
        precision: ``"fp32"``, ``"bf16"``, or ``"auto"``.
        device: A torch device, or ``"auto"``.
        progress: Show a progress bar.

    Raises:
        ValueError: When an option is not allowed, or net and data do not fit together.

    >>> from smallnets import lenet5
    >>> predict(lenet5(), torch.zeros(2, 1, 32, 32)).probabilities.shape
    torch.Size([2, 10])
    """
    parts = list(predict_parts(model, data, batch_size, precision, device, progress))
    ids = tuple(name for part in parts for name in part.ids)
    labels, shares = torch.cat([part.labels for part in parts]), torch.cat([part.probabilities for part in parts])
    return Predictions(ids, labels, shares, parts[0].classes, parts[0].plan)


def predict_parts(
    model: nn.Module,
    data: DataLike | Array,
    batch_size: int,
    precision: Precision,
    device: str | torch.device,
    progress: bool,
) -> Iterator[Predictions]:
    """``predict``, a batch at a time: for what does not fit into memory."""
    if isinstance(data, Tensor | np.ndarray):
        data = (data, np.zeros(len(data), dtype=np.int64))
    with ready("predict", model, data, batch_size, precision, device) as (net, plan, gains, samples, _):
        done = 0
        for batch, logits in forward(net, samples, batch_size, plan, progress, who="predict"):
            shares = F.softmax(logits, dim=1).cpu()
            stop = done + len(batch.labels)
            ids = tuple(map(str, range(done, stop))) if samples.ids is None else samples.ids[done:stop]
            names = samples.classes
            if names is None or len(names) != shares.shape[1]:
                names = tuple(str(label) for label in range(shares.shape[1]))
            yield Predictions(ids, shares.argmax(dim=1), shares, names, {**plan.to_record(), **gains})
            done = stop


def sorted_by_id(pictures: ImageStream) -> ImageStream:
    """In the order of ``Predictions.to_csv``."""
    return pictures[sorted(range(len(pictures)), key=lambda row: natural(pictures.ids[row]))]


def write_rows(
    parts: Iterator[Predictions], path: Path, columns: Sequence[str] | None = None, raw: bool = False
) -> int:
    """Write what comes as ``Predictions.to_csv`` does, in the order in which it comes; the file is there at the end.

    Args:
        parts: What comes.
        path: The file.
        columns: ``"id"``, ``"predicted"`` or a class for its probability, each under the name it has here; else all.
        raw: As in ``Predictions.to_csv``.

    Returns:
        How many predictions there were.

    Raises:
        RunError: When it cannot be written.
    """
    count = 0
    with told_when_unwritten(path, "predict"), whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
        try:
            writer = csv.writer(text, lineterminator="\n")
            for part in parts:
                known = ("id", "predicted", *part.classes)
                kept = range(len(known)) if columns is None else [known.index(name) for name in columns]
                if not count:
                    writer.writerow(part.header() if columns is None else columns if raw else map(cell, columns))
                writer.writerows([row[column] for column in kept] for row in part.rows(raw=raw))
                count += len(part)
        finally:
            text.detach()  # the file itself is closed where it was opened
    return count
