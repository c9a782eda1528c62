"""Augmentation: pictures as torchvision's transforms make them, randomness without state."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from smallnets import FitOptions, OptionError
from smallnets.data.augment import Crop, augment, choose, normalise
from smallnets.data.stateless import key, order, uniforms
from smallnets.data.windows import ResizedCropFlip, ScaleJitterFlip, Windows


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
    flips = uniforms(0, 0, torch.arange(6), whole.draws)[-1] < 0.5
    assert flips.any() and not flips.all()
    for row, image in enumerate(images):
        assert torch.equal(found[row], image.flip(2) if flips[row] else image)


@pytest.mark.parametrize("way", [ResizedCropFlip(scale=(0.3, 1)), ScaleJitterFlip()])
def test_a_window_of_a_batch_is_the_picture_scaled_by_torchvision(way: Windows) -> None:
    images = pictures(40, 3, 32, 24)
    index = torch.arange(40)
    found = augment(images, way, 3, 1, index)
    random = uniforms(3, 1, index, way.draws)
    boxes = way.boxes(random, 32, 24, (32, 24))
    for row, image in enumerate(images):
        left, top, right, bottom = boxes[:, row]
        assert 0 <= left < right <= 24 and 0 <= top < bottom <= 32
        if not way.alone:
            continue
        expected = tv.resized_crop(
            image, int(top), int(left), int(bottom - top), int(right - left), [32, 24], antialias=False
        )
        expected = expected.flip(2) if random[-1, row] < 0.5 else expected
        # torchvision knows nothing of the pixels beyond the window, which reach its outermost ones.
        assert (found[row] - expected.float()).abs()[:, 2:-2, 2:-2].max() <= 1


def windows_of(way: Windows, height: int, width: int, size: tuple[int, int], count: int = 4000) -> np.ndarray:
    return way.boxes(uniforms(0, 0, torch.arange(count), way.draws), height, width, size)


@pytest.mark.parametrize(("height", "width"), [(100, 100), (60, 200), (500, 40), (1, 30)])
def test_windows_are_spread_as_torchvisions(height: int, width: int) -> None:
    transform = v2.RandomResizedCrop(8)
    torch.manual_seed(0)
    image = torch.empty(3, height, width, dtype=torch.uint8)
    drawn = [transform.make_params([image]) for _ in range(4000)]
    theirs = np.array([[p["left"], p["top"], p["left"] + p["width"], p["top"] + p["height"]] for p in drawn])
    ours = windows_of(ResizedCropFlip(), height, width, (8, 8)).T
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.quantile(ours, share, axis=0) == pytest.approx(
            np.quantile(theirs, share, axis=0), abs=0.06 * max(height, width)
        )


def test_the_shorter_side_is_jittered_as_in_the_vgg_paper() -> None:
    left, top, right, bottom = windows_of(ScaleJitterFlip(), 1000, 1500, (224, 224))
    sides = 224 * 1000 / (bottom - top)  # S, the shorter side after scaling
    assert sides.min() == pytest.approx(256, abs=0.1) and sides.max() == pytest.approx(512, abs=0.1)
    assert sides.mean() == pytest.approx(384, abs=4)
    assert (
        left.min() == 0
        and right.max() == pytest.approx(1500)
        and (right - left) == pytest.approx(bottom - top, rel=0.005)
    )


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
    ("scale-jitter-flip", "/some/folder", 224, ScaleJitterFlip()),
    ("none", "cifar10", 32, None),
]


@pytest.mark.parametrize(("name", "source", "height", "expected"), CHOICES)
def test_the_choice_goes_by_the_source(name: str, source: str, height: int, expected: object) -> None:
    assert choose(name, source, height) == expected


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(OptionError, match=r"expected augment to be one of .*; got 'crops'. Did you mean 'crop'\?"):
        choose("crops", "digits", 32)


def test_a_crop_names_its_least_share() -> None:
    chosen = choose("resized-crop-flip(0.5)", "folder", 224)
    assert isinstance(chosen, ResizedCropFlip) and chosen.scale == (0.5, 1.0)
    for name in ("resized-crop-flip(0)", "resized-crop-flip(1.5)"):
        with pytest.raises(OptionError, match=r"a share in \(0, 1\] in augment='resized-crop-flip\(share\)'"):
            FitOptions(augment=name)  # type: ignore[arg-type]
    for name in ("resized-crop-flip(x)", "resized-crop-flip(1.)", "resized-crop-flip(0.5"):
        with pytest.raises(OptionError, match="augment to be one of"):
            FitOptions(augment=name)  # type: ignore[arg-type]
