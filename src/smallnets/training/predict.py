"""``predict``: what a net says of each picture; whole, or written a batch at a time."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.imageset import ImageStream
from .evaluate import check_options, forward, known_stats, natural_size
from .feed.samples import check_fit, understand
from .metrics import Predictions, natural
from .plan.inference import prepare
from .plan.plan import choose_device
from .preserve import preserved


def predict(
    model: nn.Module,
    data: Any,
    *,
    batch_size: int = 256,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
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
    model: nn.Module, data: Any, batch_size: int, precision: str, device: str | torch.device, progress: bool
) -> Iterator[Predictions]:
    """``predict``, a batch at a time: for what does not fit into memory."""
    check_options("predict", batch_size, precision)
    place = choose_device(device)
    if isinstance(data, Tensor | np.ndarray):
        data = (data, np.zeros(len(data), dtype=np.int64))
    with preserved(model):
        samples = understand(data, "predict", like=known_stats(model), size=natural_size(model))
        check_fit(samples, model, "predict")
        model.to(place).eval()
        net, plan, facts = prepare(model, samples, batch_size, precision, place)
        done = 0
        for batch, logits in forward(net, samples, batch_size, plan, progress, who="predict"):
            shares = F.softmax(logits, dim=1).cpu()
            stop = done + len(batch.labels)
            ids = tuple(map(str, range(done, stop))) if samples.ids is None else samples.ids[done:stop]
            names = samples.classes
            if names is None or len(names) != shares.shape[1]:
                names = tuple(str(label) for label in range(shares.shape[1]))
            yield Predictions(ids, shares.argmax(dim=1), shares, names, {**plan.to_json(), **facts})
            done = stop


def sorted_by_id(pictures: ImageStream) -> ImageStream:
    """In the order of ``Predictions.to_csv``."""
    return pictures[sorted(range(len(pictures)), key=lambda row: natural(pictures.ids[row]))]


def write_rows(parts: Iterator[Predictions], path: Path) -> int:
    """Write what comes as ``Predictions.to_csv`` does, in the order in which it comes; the file is there at the end.

    Returns:
        How many predictions there were.
    """
    unfinished, count = path.with_name(f".{path.name}.part"), 0
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for part in parts:
                if not count:
                    writer.writerow(part.header())
                writer.writerows(part.rows())
                count += len(part)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
