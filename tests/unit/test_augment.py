"""Augmentation: pictures as torchvision's transforms make them, randomness without state."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from smallnets import OptionError
from smallnets.data.augment import Crop, ResizedCropFlip, augment, choose, normalise
from smallnets.data.stateless import key, order, uniforms


def pictures(count: int = 6, channels: int = 3, height: int = 12, width: int = 10) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8)


@given(padding=st.integers(1, 5), flip=st.booleans(), seed=st.integers(0, 99), height=st.integers(3, 12))
def test_crop_is_torchvisions_pad_crop_and_flip(padding: int, flip: bool, seed: int, height: int) -> None:
    images = pictures(height=height)
    index = torch.arange(6)
    random = uniforms(seed, 0, index, 3)
    found = augment(images, Crop(padding, flip), seed, 0, index)
    for row, image in enumerate(images):
        top, left = (int(random[axis, row] * (2 * padding + 1)) for axis in (0, 1))
        expected = tv.crop(tv.pad(image, [padding]), top, left, height, 10)
        if flip and random[2, row] < 0.5:
            expected = tv.horizontal_flip(expected)
        assert torch.equal(found[row], expected)


def test_crop_draws_every_place_equally_often() -> None:
    draws = uniforms(0, 0, torch.arange(9000), 3)
    counts = np.bincount((draws[0] * 9).astype(int), minlength=9)
    assert counts.min() > 880 and counts.max() < 1120
    assert abs((draws[2] < 0.5).mean() - 0.5) < 0.02


def test_a_resized_crop_of_everything_is_the_picture_or_its_mirror() -> None:
    images = pictures(height=10, width=10)
    whole = ResizedCropFlip(scale=(1, 1), ratio=(1, 1))
    found = augment(images, whole, 0, 0, torch.arange(6))
    flips = uniforms(0, 0, torch.arange(6), 5)[4] < 0.5
    assert flips.any() and not flips.all()
    for row, image in enumerate(images):
        assert torch.equal(found[row], image.flip(2) if flips[row] else image)


def test_resized_crop_is_torchvisions_resized_crop() -> None:
    images = pictures(40, 3, 32, 24)
    random = uniforms(3, 1, torch.arange(40), 5)
    found = augment(images, ResizedCropFlip(scale=(0.3, 1)), 3, 1, torch.arange(40))
    low, high = np.log(3 / 4), np.log(4 / 3)
    checked = 0
    for row, image in enumerate(images):
        area, aspect = 0.3 + random[0, row] * 0.7, np.exp(low + random[1, row] * (high - low))
        width, height = 24 * np.sqrt(area * aspect * 32 / 24), 32 * np.sqrt(area / aspect * 24 / 32)
        if width >= 23 or height >= 31:
            continue
        # torchvision crops whole pixels: compare with its crop of the rounded box, loosely.
        top, left = (32 - height) * random[3, row], (24 - width) * random[2, row]
        expected = tv.resized_crop(
            image, round(top), round(left), round(height), round(width), [32, 24], antialias=False
        ).float()
        expected = expected.flip(2) if random[4, row] < 0.5 else expected
        smooth = torch.nn.functional.avg_pool2d
        assert (smooth(found[row].float(), 8) - smooth(expected, 8)).abs().mean() < 20
        checked += 1
    assert checked > 10


def test_resized_crop_areas_are_within_the_scale() -> None:
    ramp = torch.arange(64, dtype=torch.float32).expand(200, 1, 64, 64).contiguous()
    found = augment(ramp, ResizedCropFlip(scale=(0.25, 0.5), ratio=(1, 1)), 0, 0, torch.arange(200))
    spans = (found.amax(dim=(1, 2, 3)) - found.amin(dim=(1, 2, 3)) + 1) / 64
    assert spans.min() > 0.25**0.5 - 0.04 and spans.max() < 0.5**0.5 + 0.04


def test_randomness_depends_on_seed_epoch_and_sample_only() -> None:
    index = torch.tensor([5, 900, 31])
    alone = uniforms(1, 2, index[1:2], 4)
    assert np.array_equal(uniforms(1, 2, index, 4)[:, 1:2], alone)
    for other in (uniforms(2, 2, index[1:2], 4), uniforms(1, 3, index[1:2], 4), uniforms(1, 2, index[:1], 4)):
        assert not np.isclose(other, alone).any()
    batch = pictures()
    whole = augment(batch, Crop(), 0, 0, torch.arange(6))
    assert torch.equal(augment(batch[4:], Crop(), 0, 0, torch.arange(4, 6)), whole[4:])


def test_orders_are_permutations_that_differ_by_epoch() -> None:
    first, second = order(0, 0, 1000), order(0, 1, 1000)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert (first == second).float().mean() < 0.02 and torch.equal(first, order(0, 0, 1000))
    assert len({key(a, b) for a in range(30) for b in range(30)}) == 900


@pytest.mark.parametrize("channels_last", [False, True])
def test_normalise_is_torchvisions(channels_last: bool) -> None:
    images = pictures()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    expected = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))])(images)
    found = normalise(images, mean, std, channels_last)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)
    floats = torch.rand(2, 3, 4, 4)
    assert torch.equal(normalise(floats, (), ()), floats)
    with pytest.raises(OptionError, match=re.escape("expected 3 means, one a channel; got 1.")):
        normalise(images, (0.5,), (0.5,))


CHOICES = [
    ("auto", "digits", 32, Crop(2)),
    ("auto", "cifar10", 32, Crop(4, flip=True)),
    ("auto", "/some/folder", 48, Crop(6, flip=True)),
    ("auto", "/some/folder", 64, ResizedCropFlip()),
    ("crop", "/some/folder", 224, Crop(14)),
    ("none", "cifar10", 32, None),
]


@pytest.mark.parametrize(("name", "source", "height", "expected"), CHOICES)
def test_the_choice_goes_by_the_source(name: str, source: str, height: int, expected: object) -> None:
    assert choose(name, source, height) == expected


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(OptionError, match=r"expected augment to be one of .*; got 'crops'. Did you mean 'crop'\?"):
        choose("crops", "digits", 32)
