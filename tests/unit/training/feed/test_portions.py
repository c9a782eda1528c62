"""Batches that are prepared together, as on a GPU, are those that are prepared one by one."""

import pytest
import torch

from smallnets.data.augment import Crop, ResizedCropFlip
from smallnets.data.imageset import ImageSet
from smallnets.training.feed import feed as feed_module
from smallnets.training.feed.batches import Batch, plan_batches
from smallnets.training.feed.feed import Feed, batches_at_once
from smallnets.training.feed.understand import understand
from smallnets.training.group import Group

IMAGES = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
DATA = ImageSet(
    torch.arange(50) % 5, tuple("abcde"), tuple(map(str, range(50))), (0.4,) * 3, (0.2,) * 3, images=IMAGES,
    source="folder",
)  # fmt: skip


def batches(feed: Feed, first: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    monkeypatch.setattr(feed_module, "batches_at_once", lambda images: at_once)
    return list(feed.epoch(3, first))


@pytest.mark.parametrize("augmentation", [None, Crop(padding=2, flip=True), ResizedCropFlip()])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("group", [Group(), Group(1, 3)])
@pytest.mark.parametrize("first", [0, 4])
def test_they_are_the_same(
    monkeypatch: pytest.MonkeyPatch, augmentation: Crop | None, channels_last: bool, group: Group, first: int
) -> None:
    samples = understand(DATA, "fit")
    feed = Feed(samples, plan_batches(50, 8), torch.device("cpu"), 0, augmentation, channels_last, group=group)
    expected = batches(feed, first, 1, monkeypatch)
    for at_once in (2, 3, 100):
        found = batches(feed, first, at_once, monkeypatch)
        assert len(found) == len(expected) == 7 - first
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours.images, theirs.images, rtol=0, atol=0)
            assert torch.equal(ours.labels, theirs.labels) and ours[2:] == theirs[2:]
            layout = torch.channels_last if channels_last else torch.contiguous_format
            assert ours.images.is_contiguous(memory_format=layout)


def test_a_portion_is_some_megabytes_and_a_cpu_takes_each_alone() -> None:
    with torch.device("meta"):  # stands for a GPU
        assert batches_at_once(torch.empty(128, 3, 32, 32, dtype=torch.uint8)) == 85
        assert batches_at_once(torch.empty(128, 3, 224, 224, dtype=torch.uint8)) == 1
    assert batches_at_once(torch.empty(128, 3, 32, 32, dtype=torch.uint8)) == 1
