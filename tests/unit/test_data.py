"""Loading: named sets, folders, zips; what is broken says so."""

import io
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from smallnets import DataError, OptionError
from smallnets.data import ImageSet, ImageStream, decoding, image_files, load, statistics
from smallnets.data.decoding import CHUNK
from smallnets.data.named import torchvision_set
from smallnets.data.pixels import Rules, decode
from smallnets.training.feed.understand import understand

Make = Callable[..., Path]


def test_digits_are_scikit_learns_every_one_once() -> None:
    train, test = load("digits"), load("digits", "test")
    assert len(train) + len(test) == 1797
    assert set(train.ids).isdisjoint(test.ids)
    rows = [int(name.split("-")[1]) for name in train.ids + test.ids]
    assert sorted(rows) == list(range(1797))
    found = load_digits()
    assert [found.target[row] for row in rows] == torch.cat([train.labels, test.labels]).tolist()
    share = test.labels.bincount() / (train.labels.bincount() + test.labels.bincount())
    assert ((share - 0.2).abs() < 0.005).all()


def test_digits_at_their_own_size_are_the_files_pixels() -> None:
    train = load("digits", size=8)
    row = int(train.ids[0].split("-")[1])
    expected = np.round(load_digits().images[row] / 16 * 255).astype(np.uint8)
    assert np.array_equal(train.images[0, 0].numpy(), expected)


def test_mean_and_std_are_the_training_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics.FACTS_OF.clear()
    test, train = load("digits", "test"), load("digits")  # also where "test" is asked for first
    pixels = train.images.double() / 255
    assert train.mean[0] == pytest.approx(pixels.mean().item(), abs=1e-12)
    assert train.std[0] == pytest.approx(pixels.std(correction=0).item(), abs=1e-12)
    assert test.mean == train.mean and test[:10].std == train.std


def test_classes_keep_their_order() -> None:
    both = load("digits", classes=["7", "2"])
    assert both.classes == ("7", "2")
    whole = load("digits")
    assert both.labels.bincount().tolist() == [(whole.labels == 7).sum(), (whole.labels == 2).sum()]
    assert torch.equal(both.images[both.labels == 1], whole.images[whole.labels == 2])


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_a_folder_and_a_zip_of_it_are_the_same(image_folder: Make, suffix: str) -> None:
    root = image_folder(suffix=suffix)
    archive = Path(shutil.make_archive(str(root), "zip", root))
    wrapped = Path(shutil.make_archive(str(root) + "-wrapped", "zip", root.parent, root.name))
    sets = [load(path) for path in (root, archive, wrapped)]
    for found in sets:
        assert isinstance(found, ImageSet)
        assert found.classes == ("cat", "dog") and found.images.shape == (40, 3, 16, 16)
        assert torch.equal(found.images, sets[0].images) and torch.equal(found.labels, sets[0].labels)
    with Image.open(root / "train" / "dog" / f"003.{suffix}") as picture:
        expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    place = [name.endswith(f"dog/003.{suffix}") for name in sets[0].ids].index(True)
    assert np.array_equal(sets[0].images[place].numpy(), expected)


def test_threads_change_nothing(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = image_folder(train=30)
    alone = load(root)
    monkeypatch.setattr(decoding, "CHUNK", 7)
    monkeypatch.setattr(decoding, "threads", lambda: 4)
    together = load(root)
    assert CHUNK > 60 and torch.equal(alone.images, together.images) and alone.ids == together.ids


@pytest.mark.parametrize("channels", [1, 3])
def test_decoded_pixels_may_be_written_to(channels: int) -> None:
    """torch warns of a tensor over memory that may not."""
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    assert decode(buffer, Rules(channels)).flags.writeable


def test_grey_folders_have_one_channel_unless_asked_otherwise(image_folder: Make) -> None:
    root = image_folder(grey=True)
    assert load(root).images.shape[1] == 1
    assert load(root, channels=3).images.shape[1] == 3


def test_size_covers_and_crops_the_centre() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, format="png")
    assert (decode(buffer, Rules(3, (10, 10))) == 255).all()


def test_other_split_takes_the_training_numbers(image_folder: Make) -> None:
    root = image_folder()
    test = load(root, "test")
    assert test.mean == load(root).mean


def test_mixed_sizes_come_as_a_stream(image_folder: Make) -> None:
    root = image_folder()
    Image.new("RGB", (20, 40)).save(root / "train" / "cat" / "odd.png")
    stream = load(root)
    assert isinstance(stream, ImageStream) and stream.shape is None and not hasattr(stream, "images")
    assert stream[len(stream.ids) - 1][0].shape == (3, 16, 16)
    with pytest.raises(DataError, match=r"^evaluate: expected pictures of one size; got several. Give size="):
        understand(stream, "evaluate")
    assert load(root, size=16).images.shape == (41, 3, 16, 16)  # type: ignore[union-attr]
    small = stream.resized((8, 8))
    assert small[0][0].shape == (3, 8, 8) and small[3:5].ids == stream.ids[3:5]


def test_a_changed_file_is_measured_anew_and_broken_training_pictures_do_not_hinder_a_test(
    image_folder: Make, tmp_path: Path
) -> None:
    means = []
    for value in (50, 200):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for name in ("train/a/0.png", "train/b/1.png", "test/a/0.png"):
                picture = io.BytesIO()
                Image.new("RGB", (8, 8), (value, value, value)).save(picture, "png")
                archive.writestr(name, picture.getvalue())
        os.utime(tmp_path / "set.zip", (value, value))
        means.append(load(tmp_path / "set.zip", "test").mean[0])
    assert means == pytest.approx([50 / 255, 200 / 255])
    root = image_folder()
    (root / "train" / "cat" / "000.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="left out 1 of 40 pictures that are broken"):
        assert len(load(root, "test")) == 12


@pytest.mark.parametrize("chunk", [1, decoding.CHUNK])
def test_a_size_that_no_header_looked_at_tells_makes_a_stream_too(
    image_folder: Make, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(decoding, "CHUNK", chunk)
    root = image_folder(train=65, size=(16, 16))  # every second header of 130 is looked at
    Image.new("RGB", (20, 40)).save(root / "train" / "cat" / "001.png")
    stream = load(root)
    assert isinstance(stream, ImageStream) and stream.shape is None
    assert stream[1][0].shape == (3, 40, 20) and stream[2][0].shape == (3, 16, 16)


def test_what_passes_the_memory_limit_is_streamed_alike(image_folder: Make) -> None:
    root = image_folder()
    held, stream = load(root), load(root, memory_limit=1000)
    assert isinstance(held, ImageSet) and isinstance(stream, ImageStream)
    assert stream.shape == held.shape and stream.mean == pytest.approx(held.mean)
    for row in (0, 17, 39):
        assert torch.equal(stream[row][0], held.images[row]) and stream[row][1] == held[row][1]
    rest, part = stream.split(0.25, seed=3)
    held_rest, held_part = held.split(0.25, seed=3)
    assert rest.ids == held_rest.ids and part.ids == held_part.ids


def test_a_stream_feeds_a_dataloader_and_skips_what_is_broken(image_folder: Make) -> None:
    root = image_folder(size=(64, 64))
    path = broken(root, "truncated")
    with pytest.warns(UserWarning, match=rf"left out 1 of 41 pictures that are broken: train/cat/{path.name}"):
        stream = load(root, memory_limit=1000, on_error="skip")
    assert isinstance(stream, ImageStream) and len(stream) == 40
    images, labels = next(iter(torch.utils.data.DataLoader(stream, batch_size=4)))
    assert images.shape == (4, 3, 64, 64) and labels.tolist() == [0, 0, 0, 0]
    whole = load(root, memory_limit=1000)  # a stream finds out when it gets there
    with pytest.raises(DataError, match=rf"expected a whole picture; got .*{path.name}"):
        list(torch.utils.data.DataLoader(whole, batch_size=41))


def test_sixteen_bits_keep_their_shades() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format="png")
    assert np.array_equal(decode(buffer, Rules(1))[0], (ramp >> 8).astype(np.uint8))


def test_choosing() -> None:
    train = load("digits")
    image, label = train[np.int64(5)]
    assert image.shape == (1, 32, 32) and isinstance(label, int)
    assert train[-1][1] == int(train.labels[-1])
    assert train[[3, 1]].ids == (train.ids[3], train.ids[1])
    assert train[train.labels == 3].labels.unique().tolist() == [3]
    assert len(train[10:20:3]) == 4
    with pytest.raises(IndexError, match="expected a place among 1438 pictures; got 1438"):
        train[len(train)]
    assert len(torch.utils.data.DataLoader(train, batch_size=100)) == 15


def test_split_is_stratified_disjoint_and_repeatable() -> None:
    train = load("digits")
    rest, part = train.split(0.1, seed=1)
    assert set(rest.ids) | set(part.ids) == set(train.ids) and set(rest.ids).isdisjoint(part.ids)
    assert (part.labels.bincount() - train.labels.bincount() * 0.1).abs().max() <= 0.5
    assert train.split(0.1, seed=1)[1].ids == part.ids != train.split(0.1, seed=2)[1].ids


def test_a_set_can_be_pickled() -> None:
    few = load("digits")[:3]
    again = pickle.loads(pickle.dumps(few))
    assert torch.equal(again.images, few.images) and again.classes == few.classes


def broken(root: Path, kind: str) -> Path:
    path = root / "train" / "cat" / "broken.jpg"
    if kind == "truncated":
        Image.effect_noise((64, 64), 50).convert("RGB").save(path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "text":
        path = path.with_suffix(".png")
        path.write_text("this is no picture")
    else:
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize("kind", ["truncated", "text", "empty"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_broken_picture_is_named_or_skipped(image_folder: Make, kind: str, zipped: bool) -> None:
    root = image_folder(size=(64, 64))
    path = broken(root, kind)
    source = Path(shutil.make_archive(str(root), "zip", root)) if zipped else root
    with pytest.raises(DataError, match=rf"load: expected a whole picture; got .*{path.name}: .*on_error='skip'"):
        load(source)
    with pytest.warns(UserWarning, match=rf"left out 1 of 41 pictures that are broken: train/cat/{path.name}"):
        found = load(source, on_error="skip")
    assert len(found) == 40 and not any(path.name in name for name in found.ids)


def test_a_zip_with_a_wrong_checksum_is_named(image_folder: Make) -> None:
    root = image_folder()
    archive = Path(shutil.make_archive(str(root), "zip", root))
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo("train/cat/004.png")
    content = bytearray(archive.read_bytes())
    content[info.header_offset + 60] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"train/cat/004\.png"):
        load(archive)


BAD_SOURCES = [
    ("digit", {}, "expected a data set's name, a folder or a zip; got 'digit'. Did you mean 'digits'?"),
    ("no/such/folder", {}, "expected an existing folder or zip; got 'no/such/folder'. Check the path."),
    ("digits", {"split": "val"}, "expected split of 'digits' to be one of 'train', 'test'; got 'val'."),
    ("digits", {"classes": ["11"]}, "expected a class of the data set; got '11'. Did you mean '1'?"),
    ("digits", {"classes": []}, "expected classes to be a list of different names; got []."),
    ("digits", {"size": 0}, "expected size to be a side or (h, w) in pixels; got 0."),
    ("digits", {"size": (1, 2, 3)}, "expected size to be a side or (h, w) in pixels; got (1, 2, 3)."),
    ("digits", {"on_error": "ignore"}, "expected on_error to be one of 'raise', 'skip'; got 'ignore'."),
]


@pytest.mark.parametrize(("source", "options", "text"), BAD_SOURCES)
def test_bad_arguments(source: str, options: dict[str, object], text: str) -> None:
    with pytest.raises((DataError, OptionError), match=re.escape(f"load: {text}")):
        load(source, **options)  # type: ignore[arg-type]


def test_folders_of_another_layout(tmp_path: Path, image_folder: Make) -> None:
    flat = tmp_path / "flat"
    (flat / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"expected pictures as split/class/image; got no picture in"):
        load(flat)
    Image.new("RGB", (8, 8)).save(flat / "train" / "a.png")
    with pytest.raises(DataError, match=r"got pictures right in 'train' and no class folder. Make one sub-folder"):
        load(flat)
    root = image_folder()
    with pytest.raises(DataError, match=r"expected a folder 'val' in .*; got none. It has: test, train."):
        load(root, "val")
    assert load(root / "train", ".").classes == ("cat", "dog")
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(DataError, match=r"expected a folder or a zip of pictures; got .*no.zip"):
        load(tmp_path / "no.zip")


def test_torchvisions_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics.FACTS_OF.clear()
    with pytest.raises(DataError, match=r"expected the files of 'cifar10' under .*; got none. Give download=True"):
        load("cifar10", root=tmp_path)
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", 30), ("t10k", 10)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        head = b"\0\0\x08\x03" + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2
        (folder / f"{name}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + count.to_bytes(4, "big") + labels.tobytes()
        )
    test = load("mnist", "test", root=tmp_path, size=32)
    assert test.images.shape == (10, 1, 32, 32) and test.classes == tuple("0123456789")  # type: ignore[union-attr]
    pixels = torchvision_set("mnist", "train", tmp_path, download=False).images
    assert (test.mean, test.std) == statistics.channel_stats(pixels)


def test_labels_outside_the_classes() -> None:
    few = load("digits")[:4]
    with pytest.raises(DataError, match=r"expected labels from 0 to 9; got 1 outside, the first 12 at position 2"):
        ImageSet(torch.tensor([0, 1, 12, 3]), few.classes, few.ids, few.mean, few.std, images=few.images)
    with pytest.raises(DataError, match=r"expected images \(N, C, H, W\) and N labels"):
        ImageSet(few.labels, few.classes, few.ids, few.mean, few.std, images=few.images[:2])


def test_numbers_that_are_given_are_taken() -> None:
    few = load("digits", "test", stats=((0.5,), (0.25,)))
    assert (few.mean, few.std) == ((0.5,), (0.25,))


def test_a_constant_channel_is_divided_by_one() -> None:
    assert statistics.channel_stats(torch.full((2, 1, 4, 4), 51, dtype=torch.uint8)) == ((0.2,), (1.0,))


def test_half_of_the_free_memory_may_be_filled(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root, whole = image_folder(), 40 * 3 * 16 * 16
    for free, kind in ((2 * whole, ImageSet), (2 * whole - 2, ImageStream)):
        monkeypatch.setattr(image_files, "free_memory", lambda free=free: free)
        assert type(load(root)) is kind


def test_pictures_in_later_chunks_keep_their_places(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CHUNK", 7)
    root = image_folder(train=10)
    (root / "train" / "dog" / "009.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="left out 1 of 20"):
        stream = load(root, memory_limit=1000, on_error="skip")
    assert len(stream) == 19 and stream.ids[-1].endswith("dog/008.png")
    assert load(root, "test").mean  # which are the training split's, the broken one left out
    Image.new("RGB", (9, 9)).save(root / "train" / "dog" / "009.png")
    assert isinstance(load(root), ImageStream)  # of another size than the chunks before


def test_a_folder_of_broken_pictures_only(image_folder: Make) -> None:
    root = image_folder(train=1)
    for kind in ("cat", "dog"):
        (root / "train" / kind / "000.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="expected at least one whole picture; got none in"):
        load(root, on_error="skip", size=16)


def test_one_picture_in_colour_makes_a_folder_of_colours(image_folder: Make) -> None:
    root = image_folder(grey=True)
    Image.new("RGB", (16, 16)).save(root / "train" / "cat" / "000.png")
    assert load(root).images.shape[1] == 3  # type: ignore[union-attr]
