"""What a data argument is, once it is understood: the type that training and measuring share.

N pictures, C channels, H W pixels.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...data.augment import Augmentation, choose
from ...data.imageset import ImageSet, ImageStream
from ...data.labelled import Reading
from ...errors import DataError, OptionError, message
from ...facts import DataFacts
from .origin import Stats

Array = Tensor | npt.NDArray[np.generic]
Pair = tuple[Array, Array] | list[Tensor] | list[Array]
DataLike = Dataset[object] | DataLoader[object] | Pair  # ImageSet and ImageStream are Datasets
Shape = tuple[int, ...]
PAIRS = "Let the Dataset, or a collate_fn, give pairs of them: (image tensor, label)."


@dataclass(frozen=True)
class Samples:
    """A data argument, understood: where the pictures are, how they are normalised, which class a label means."""

    data: Dataset[object] | DataLoader[object]
    count: int
    shape: Shape | None = None  # (C, H, W); None where a picture has to be read to know it
    classes: tuple[str, ...] | None = None
    stats: Stats | None = None  # mean and std of uint8 pictures; None where nobody has told them
    reading: Reading | None = None  # how their files became pictures; None where nobody has told
    source: str = ""
    ids: tuple[str, ...] | None = None
    labels: Tensor | None = None
    relabel: Tensor | None = None  # the label that the net knows of each that a Dataset or DataLoader gives
    left_out: dict[str, str] | None = None  # collects pictures that cannot be read; None where one is an error

    @property
    def is_loader(self) -> bool:
        return isinstance(self.data, DataLoader)

    def augmentation(self, name: str, shape: Shape) -> Augmentation | None:
        """The augmentation of a name for samples of a shape; ``"auto"`` leaves alone what may be anything.

        Raises:
            ValueError: When there is no such augmentation, or none of what is no picture.
        """
        ours = isinstance(self.data, ImageSet | ImageStream) and self.source != "tensors"
        if self.is_loader or (name == "auto" and not ours):
            return None
        if len(shape) != 3 and name != "none":
            raise OptionError(message("fit", f"pictures (C, H, W) for augment={name!r}", f"samples of shape {shape}"))
        return choose(name, self.source, shape[1] if len(shape) == 3 else 0)

    def facts(self, shape: Shape) -> DataFacts:
        """What a net that is trained on samples of this shape has to know of them."""
        mean, std = self.stats if self.stats is not None else ((), ())
        channels, size = (shape[0], (shape[1], shape[2])) if len(shape) == 3 else (None, None)
        reading = self.reading or Reading()
        return DataFacts(self.classes or (), channels, size, tuple(mean), tuple(std), self.source, *reading)

    def learnt_from(self, images: Tensor) -> Self:
        """The training set, once its first batch is known: floats are as they are, bare uint8 is divided by 255."""
        if images.dtype != torch.uint8:
            return replace(self, stats=None)
        if self.stats is not None:
            return self
        channels = images.shape[1] if images.dim() > 1 else 1
        return replace(self, stats=((0.0,) * channels, (1.0,) * channels))


def picture_of(sample: object) -> Array:
    """The picture of a Dataset's sample.

    Raises:
        DataError: When it is no tensor.
    """
    first = sample[0] if isinstance(sample, tuple | list) and sample else sample
    if not isinstance(first, Tensor | np.ndarray):
        advice = "Put transforms.ToTensor() into the Dataset, or give an ImageSet."
        advice = PAIRS if isinstance(first, dict) else advice
        raise DataError(message("smallnets", "a Dataset of (image tensor, label)", type(first).__name__, advice))
    return first
