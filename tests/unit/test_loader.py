"""Batches for loops written by hand, and a set at a glance."""

import pydoc
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

import smallnets as sn
from smallnets import DataError, OptionError
from smallnets.data import ImageSet, ImageStream, load
from smallnets.data.augment import Crop, augment, normalise
from smallnets.data.stateless import order

Make = Callable[..., Path]


@pytest.fixture
def both(image_folder: Make) -> tuple[ImageSet, ImageStream]:
    root = image_folder(train=9)
    held, stream = load(root), load(root, memory_limit=1)
    assert isinstance(held, ImageSet) and isinstance(stream, ImageStream)
    return held, stream


@pytest.mark.parametrize("workers", [0, 3])
def test_a_loader_gives_every_picture_once_normalised(both: tuple[ImageSet, ImageStream], workers: int) -> None:
    for pictures in both:
        loader = pictures.loader(4, workers=workers)
        batches = list(loader)
        assert len(loader) == len(batches) == 5 and [len(labels) for _, labels in batches] == [4, 4, 4, 4, 2]
        images = torch.cat([images for images, _ in batches])
        assert torch.equal(images, normalise(both[0].images, both[0].mean, both[0].std))
        assert torch.equal(torch.cat([labels for _, labels in batches]), pictures.labels)
        assert torch.equal(next(iter(pictures.loader(4, normalise=False)))[0], both[0].images[:4])


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_are_shuffled_and_augmented_as_fit_does(both: tuple[ImageSet, ImageStream], workers: int) -> None:
    held = both[0]
    for pictures in both:
        loader = pictures.loader(5, augment="crop-flip", shuffle=True, workers=workers, seed=3)
        for epoch in range(2):
            index = order(3, epoch, 18)
            found = list(loader)
            assert torch.equal(torch.cat([labels for _, labels in found]), held.labels[index])
            expected = augment(held.images[index], Crop(2, flip=True), 3, epoch, index)
            assert torch.equal(torch.cat([images for images, _ in found]), normalise(expected, held.mean, held.std))
        loader.epoch = 0
        assert torch.equal(next(iter(loader))[1], held.labels[order(3, 0, 18)[:5]])


def test_fit_feeds_the_same_batches(both: tuple[ImageSet, ImageStream]) -> None:
    from smallnets.training.feed.batches import plan_batches
    from smallnets.training.feed.feed import Feed
    from smallnets.training.feed.understand import understand

    for pictures in both:
        samples = understand(pictures, "fit")
        way = samples.augmentation("resized-crop-flip", (3, 16, 16))
        feed = Feed(samples, plan_batches(18, 6), torch.device("cpu"), 7, way)
        loader = pictures.loader(6, augment="resized-crop-flip", shuffle=True, seed=7)
        for _, batch, (images, labels) in zip(range(3), feed.epoch(0), loader, strict=False):
            assert torch.equal(batch.images, images) and torch.equal(batch.labels, labels)


def test_a_function_augments_normalised_batches(both: tuple[ImageSet, ImageStream]) -> None:
    images, _ = next(iter(both[0].loader(3, augment=lambda batch: batch * 0 + 5)))
    assert (images == 5).all()


def test_a_loader_may_be_left_early(both: tuple[ImageSet, ImageStream]) -> None:
    for _ in both[1].loader(1, workers=2):
        break
    assert len(list(both[1].loader(18, workers=2))) == 1


def test_wrong_options_and_broken_pictures(image_folder: Make) -> None:
    digits = load("digits")
    for options, text in (
        ({"batch_size": 0}, "batch_size to be an integer of at least 1; got 0."),
        ({"batch_size": 4, "augment": "flip"}, "augment to be one of 'auto'"),
        ({"batch_size": 4, "augment": 3}, "augment to be a name or a function of a batch; got 3."),
        ({"batch_size": 4, "workers": -1}, "workers to be an integer of at least 0; got -1."),
        ({"batch_size": 4, "shuffle": "yes"}, "shuffle to be one of False, True; got 'yes'."),
    ):
        with pytest.raises(OptionError, match=f"^loader: expected {re.escape(text)}"):
            digits.loader(**options)  # type: ignore[arg-type]
    root = image_folder(train=3)
    stream = load(root, memory_limit=1)
    (root / "train" / "cat" / "001.png").write_bytes(b"no picture")
    for workers in (0, 2):
        with pytest.raises(DataError, match=r"cat/001\.png: not a picture\. Mend or remove it\.$"):
            list(stream.loader(2, workers=workers))


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def random_set(classes: int, side: int, names: str = "class {}") -> ImageSet:
    images = torch.randint(0, 256, (classes * 12, 3, side, side), dtype=torch.uint8)
    labels = torch.arange(classes).repeat_interleave(12)
    found = tuple(names.format(number) for number in range(classes))
    return ImageSet(labels, found, tuple(map(str, range(len(labels)))), (0.5,) * 3, (0.5,) * 3, images=images)


@pytest.mark.parametrize(("classes", "side"), [(2, 500), (10, 32), (100, 64), (20, 33), (1000, 8)])
def test_a_notebook_shows_pictures_of_every_class(classes: int, side: int) -> None:
    text = random_set(classes, side)._repr_html_()
    assert len(text) < 300_000
    page = Page(text)
    shown = "".join(page.text)
    assert "class 0" in shown and f"{classes * 12} pictures" in shown and "12" in shown
    assert ("and" in shown.split("}")[-1]) == (classes > 20)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert min(classes, 20) <= len(sources) <= 40 and all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?:|<script|@import|url\(", text) and "light dark" in text


def test_names_are_no_markup() -> None:
    hostile = "<script>alert('{}')</script>&\"" + "x" * 500
    page = Page(random_set(3, 8, hostile)._repr_html_())
    assert {tag for tag, _ in page.tags} <= {"style", "div", "p", "table", "tr", "td", "span", "img"}
    assert any("<script>" in text for text in page.text)


def test_a_stream_with_a_broken_picture_is_shown_and_drawn(image_folder: Make, tmp_path: Path) -> None:
    root = image_folder(train=12, classes=("$\\bad{$", "dog", "emu"))
    stream = load(root, memory_limit=1)
    (root / "train" / "dog" / "000.png").write_bytes(b"no picture")
    assert Page(stream._repr_html_()).tags
    stream.plot(tmp_path / "set.png")
    assert (tmp_path / "set.png").stat().st_size > 1000
    none = load("digits")[[]]
    assert Page(none._repr_html_()).tags and none.plot() is not None
    floats = ImageSet(torch.tensor([0]), ("a",), ("x",), (), (), images=torch.rand(1, 4, 5, 5))
    assert Page(floats._repr_html_()).tags


def test_help_shows_what_there_is() -> None:
    text = pydoc.render_doc(sn.data, renderer=pydoc.plaintext)
    for part in (
        "class ImageSet",
        "class ImageStream",
        "load(source:",
        "splits(source:",
        "class_map(given:",
        "loader(self",
    ):
        assert part in text


def test_worker_processes_hand_a_stream_over_through_pipes(both: tuple[ImageSet, ImageStream]) -> None:
    """Shared memory is what a container has little of."""
    import numpy as np

    from smallnets.training.feed.batches import as_arrays, index_loader

    held, stream = both
    batch = as_arrays([stream[0], stream[9]])
    assert all(isinstance(part, np.ndarray) for part in batch)
    index = torch.tensor([0, 9])
    for workers in (0, 2):
        images, labels = next(iter(index_loader(stream, [index], workers, torch.device("cpu"), 0)))
        assert torch.equal(images, held.images[index]) and torch.equal(labels, held.labels[index])


def test_a_worker_that_dies_is_said_in_one_sentence() -> None:
    from smallnets.training.feed.worker_errors import workers_errors_plain

    with (
        pytest.raises(DataError, match=r"got DataLoader worker that died\. Memory may have run out"),
        workers_errors_plain(),
    ):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    with pytest.raises(RuntimeError, match=r"^another$"), workers_errors_plain():
        raise RuntimeError("another")
