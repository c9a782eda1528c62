"""What a type checker says of loaded data: a mistake is an error, the rest is typed."""

from pathlib import Path
from typing import assert_type

import torch

from smallnets import data

digits = data.load("digits")
assert_type(digits, data.ImageSet)
assert_type(data.load("cifar10", "test", root=Path("files"), size=32), data.ImageSet)
assert_type(digits.images, torch.Tensor)
assert_type(digits[0], tuple[torch.Tensor, int])
assert_type(digits[:10], data.ImageSet)
assert_type(digits.split(0.1), tuple[data.ImageSet, data.ImageSet])
assert_type(data.load("some/folder", labels="labels.csv"), data.ImageSet | data.ImageStream)
assert_type(data.load(Path("set.zip"), "val", exif=False, crop=0.875), data.ImageSet | data.ImageStream)

for images, labels in digits.loader(32, augment="auto", shuffle=True):
    assert_type((images, labels), tuple[torch.Tensor, torch.Tensor])

data.load("digits", on_error="ignore")  # type: ignore[call-overload]  # pyright: ignore
data.load("some/folder", channels=2)  # type: ignore[call-overload]  # pyright: ignore
data.load(5)  # type: ignore[call-overload]  # pyright: ignore
