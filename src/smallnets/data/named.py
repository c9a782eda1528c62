"""The named data sets: scikit-learn's digits and torchvision's files, as tensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError, first_line, message
from .labelled import stratified
from .names import shown

Name = Literal["digits", "mnist", "fashion-mnist", "cifar10", "cifar100"]
TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
NAMES = ("digits", *TORCHVISION)


class Arrays(NamedTuple):
    """A split in memory: images (N, C, H, W) uint8, labels (N,), a name for each picture and each class."""

    images: Tensor
    labels: Tensor
    ids: list[str]
    classes: list[str]

    def of(self, kept: Sequence[str]) -> "Arrays":
        """The pictures of some classes, labelled in their order."""
        number = torch.full((len(self.classes),), -1)
        number[[self.classes.index(name) for name in kept]] = torch.arange(len(kept))
        rows = torch.nonzero(number[self.labels] >= 0).flatten()
        return Arrays(self.images[rows], number[self.labels[rows]], [self.ids[row] for row in rows.tolist()], [*kept])

    def resized(self, size: tuple[int, int]) -> "Arrays":
        if self.images.shape[2:] == size:
            return self
        parts = [F.interpolate(part.float(), size, mode="bilinear", antialias=True) for part in self.images.split(1024)]
        return self._replace(images=torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts]))


def digits(split: str, size: tuple[int, int]) -> Arrays:
    """The 8x8 digits of scikit-learn (UCI's test set, Alpaydin & Kaynak 1998), scaled up bilinearly."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            message("load", "scikit-learn for 'digits'", "none", "pip install 'smallnets[data]'.")
        ) from error
    found: Any = load_digits()
    images = torch.from_numpy(found.images / 16 * 255).float()[:, None]
    images = F.interpolate(images, size, mode="bilinear").round().to(torch.uint8)
    chosen = stratified(found.target, 0.2, seed=0) == (split == "test")
    rows = np.flatnonzero(chosen)
    ids = [f"digit-{row:04d}" for row in rows]
    return Arrays(images[rows], torch.from_numpy(found.target[rows]).long(), ids, [str(digit) for digit in range(10)])


def torchvision_set(name: str, split: str, root: Path, download: bool) -> Arrays:
    """Torchvision's own reader of its own files."""
    from torchvision import datasets

    hint = "Give download=True (--download) once, or root= (--root), the folder that holds them."
    try:
        found: Any = getattr(datasets, TORCHVISION[name])(str(root), train=split == "train", download=download)
    except Exception as error:  # of the network, the disk, or a torn file
        absent = isinstance(error, RuntimeError) and not download  # torchvision's, of files that are not there
        got = "none" if absent else f"{type(error).__name__}: {first_line(error)}".rstrip(".")
        if not absent and download:
            hint = "Check the network, or fetch them elsewhere and give root= (--root), the folder that holds them."
        if absent and Path(name).is_dir():
            hint += f" The folder {name} here is ./{name}."
        raise DataError(message("load", f"the files of {name!r} under {shown(str(root))}", got, hint)) from error
    images = torch.as_tensor(found.data)
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    names = [str(text).split(" - ")[0] for text in found.classes]  # MNIST's "0 - zero"
    ids = [f"{split}-{number:05d}" for number in range(len(images))]
    return Arrays(images, torch.as_tensor(found.targets).long(), ids, names)
