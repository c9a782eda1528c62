"""``predict``: what a net says of each picture; whole, or written a batch at a time."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler

from ..data.imageset import ImageStream
from ..data.names import counted, listed
from ..data.pictures import Source, unlabelled
from ..errors import DataError, OptionError, check_choice, message
from ..files import told_when_unwritten, whole_file
from ..models.storage import load
from ..spreadsheet import csv_text
from ..warn import warn
from .evaluate import forward, known_facts, named, ready
from .feed.samples import Array, DataLike
from .feed.suits import natural_input
from .metrics import Predictions, natural
from .options import Precision

OnError = Literal["skip", "raise"]
Unlabelled = Array | Source | Sequence[Source]  # pictures alone, or where they lie


def predict(
    model: nn.Module | str | os.PathLike[str],
    data: DataLike | Unlabelled,
    *,
    batch_size: int = 256,
    precision: Precision = "auto",
    device: str | torch.device = "auto",
    progress: bool = False,
    on_error: OnError = "skip",
) -> Predictions:
    """What a net says of each picture, with probabilities.

    Args:
        model: A net that returns logits, left as it was; or a path or name that ``load`` takes: ``"lenet5:digits"``.
        data: As for ``evaluate``; or images alone, (N, C, H, W) or one (C, H, W), as a tensor or an array; or the path
            of a picture, of a folder of any depth or of a zip, or a picture that Pillow holds, or a list of such, which
            are brought to the size, and normalised by the mean and std, that the net's ``data_facts`` name.
        batch_size: Samples at a time.
        precision: ``"fp32"``, ``"bf16"``, or ``"auto"``.
        device: A torch device, or ``"auto"``.
        progress: Show a progress bar.
        on_error: A picture that cannot be read: ``"skip"`` leaves it out with a warning, and names it in ``left_out``.

    Raises:
        ValueError: When an option is not allowed, or net and data do not fit together.

    >>> from smallnets import lenet5
    >>> predict(lenet5(), torch.zeros(2, 1, 32, 32)).probabilities.shape
    torch.Size([2, 10])
    """
    model = load(model) if isinstance(model, str | os.PathLike) else model
    parts = list(predict_parts(model, data, batch_size, precision, device, progress, on_error))
    ids = tuple(name for part in parts for name in part.ids)
    labels, shares = torch.cat([part.labels for part in parts]), torch.cat([part.probabilities for part in parts])
    last = parts[-1]
    if last.left_out:
        warn(f"predict: left out {told(last.left_out, len(ids))}")
    return Predictions(
        ids, labels, shares, last.classes, last.plan, last.left_out, shown_of(last.pictures, last.left_out)
    )


def shown_of(asked: object, left_out: Mapping[str, str]) -> object:
    """What was asked, to be looked at by number: a set, a Dataset or a batch; None for the batches of a DataLoader."""
    if isinstance(asked, ImageStream) and left_out:
        return asked[[row for row, name in enumerate(asked.ids) if name not in left_out]]
    first = asked[0] if isinstance(asked, tuple | list) and asked else asked
    return first if isinstance(first, Tensor | np.ndarray | Dataset) else None


def told(left_out: Mapping[str, str], good: int, most: int = 20) -> str:
    """The pictures that could not be read, in words."""
    names = listed([f"{name} ({why})" for name, why in left_out.items()], most)
    return f"{len(left_out):,} of {counted(good + len(left_out), 'picture')} that cannot be read: {names}"


def predict_parts(
    model: nn.Module,
    data: DataLike | Unlabelled,
    batch_size: int,
    precision: Precision,
    device: str | torch.device,
    progress: bool,
    on_error: OnError = "skip",
    left_out: dict[str, str] | None = None,
) -> Iterator[Predictions]:
    """``predict``, a batch at a time: for what does not fit into memory.

    ``left_out`` takes the names of the pictures that cannot be read; without it a stream is read as it comes.
    """
    check_choice("predict", "on_error", on_error, get_args(OnError))
    lenient = on_error == "skip" and (is_source(data) or left_out is not None)
    left_out = {} if left_out is None else left_out
    if isinstance(data, Tensor | np.ndarray):
        if data.ndim == 3:
            data = data[None]
        asked: object = (data, np.zeros(len(data), dtype=np.int64))
    else:
        asked = pictures_of(model, data) if is_source(data) else data
    check_ordered(asked)
    how = batch_size, precision, device
    with ready("predict", model, asked, *how, left_out=left_out if lenient else None) as (net, plan, gains, samples, _):
        done, known = 0, samples.classes or known_facts(model).classes  # tensors have no names of their own
        for batch, logits in forward(net, samples, batch_size, plan, progress, who="predict"):
            shares = F.softmax(logits, dim=1).cpu()
            rows = range(done, done + len(batch.labels))
            places = batch.labels.tolist() if samples.left_out is not None else rows
            ids = tuple(str(row) if samples.ids is None else samples.ids[row] for row in places)
            names, record = named(known, shares.shape[1]), {**plan.to_record(), **gains}
            yield Predictions(ids, shares.argmax(dim=1), shares, names, record, left_out, asked)  # type: ignore[arg-type]
            done = rows.stop


def is_source(data: object) -> bool:
    """Whether this says where pictures lie, or is what Pillow holds."""
    if isinstance(data, list | tuple) and data:
        return all(isinstance(one, str | os.PathLike | Image.Image) for one in data)
    return isinstance(data, str | os.PathLike | Image.Image)


def pictures_of(model: nn.Module, data: Any) -> ImageStream:
    """Pictures without labels as the net was trained on.

    Raises:
        DataError: When there is none, or the net does not know what it was trained on.
    """
    facts, natural = known_facts(model), natural_input(model) or (None, None, None)
    channels, size = facts.channels or natural[0], facts.size or natural[1:]
    if channels is None or None in size or not facts.mean:
        advice = "Set net.data_facts = DataFacts(channels=..., size=(h, w), mean=..., std=...), as fit and load do."
        wanted = "a net that knows size, mean and std of its pictures"
        raise DataError(message("predict", wanted, "one that does not", advice))
    shape = channels, int(size[0] or 0), int(size[1] or 0)
    classes = facts.classes or tuple(str(label) for label in range(getattr(model, "num_classes", None) or 1))
    known: dict[str, Any] = {name: getattr(facts, name) for name in ("mean", "std", "white", "crop", "exif")}
    return unlabelled(data, classes=classes, shape=shape, **known)


def check_ordered(data: object) -> None:
    """Refuse a DataLoader that gives samples in an order of its own: nobody would know which is which.

    Raises:
        OptionError: With what to give instead.
    """
    if not isinstance(data, DataLoader) or isinstance(data.dataset, IterableDataset):
        return
    inner = data.sampler if type(data.batch_sampler) in (BatchSampler, type(None)) else data.batch_sampler
    if type(inner) is not SequentialSampler:
        advice = "Take shuffle=False, or give the Dataset itself."
        raise OptionError(message("predict", "a DataLoader in the Dataset's order", type(inner).__name__, advice))


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
        columns: As in ``Predictions.to_csv``.
        raw: Likewise.

    Returns:
        How many predictions there were.

    Raises:
        RunError: When it cannot be written.
    """
    count = 0
    with told_when_unwritten(path, "predict"), whole_file(path) as file:
        for part in parts:
            rows = [*([] if count else [part.header(columns)]), *part.rows(columns)]
            file.write(csv_text(rows, raw).encode(errors="backslashreplace"))
            count += len(part)
    return count
