"""Image folders as people have them: a class is its name, whatever surrounds it."""

import shutil
import unicodedata
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from smallnets import DataError, OptionError
from smallnets.data import class_map, load, splits
from smallnets.data.folders import has_split
from smallnets.data.names import shown
from smallnets.data.pictures import unlabelled

Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Makes small pictures (or, of other names, text files) at the paths given, in a folder or as a zip."""

    def make(*paths: str, name: str = "set", zipped: bool = False) -> Path:
        root = tmp_path / name
        for number, path in enumerate(paths):
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.suffix in (".png", ".jpg"):
                Image.new("RGB", (6, 6), (number % 256, 9, 9)).save(place)
            elif place.suffix:
                place.write_text("no picture")
            else:
                place.mkdir(exist_ok=True)
        return Path(shutil.make_archive(str(root), "zip", root)) if zipped else root

    return make


def labels_of(root: Path, *arguments: str, **options: object) -> dict[str, str]:
    """The class of every picture, by its id."""
    found = load(root, *arguments, **options)  # type: ignore[call-overload]
    return {name: found.classes[label] for name, label in zip(found.ids, found.labels.tolist(), strict=True)}


def test_a_split_is_labelled_by_the_training_split(plant: Plant) -> None:
    root = plant("train/a/1.png", "train/b/1.png", "test/b/1.png")
    test = load(root, "test")
    assert (test.labels.tolist(), test.classes) == ([1], ("a", "b"))
    assert load(root, "test", classes=("b", "a")).labels.tolist() == [0]
    assert load(root, "test", classes=["b"]).classes == ("b",)


def test_a_class_that_training_has_not_is_refused_or_left_out_aloud(plant: Plant) -> None:
    root = plant(
        "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "test/c/1.png", "test/d/2.png", "test/d/3.png"
    )
    text = (
        r"expected no class in 'test' but those of train \(a, b\); got 'c' with 1 picture, 'd' with 2 pictures\. Rename"
    )
    with pytest.raises(DataError, match=text):
        load(root, "test")
    with pytest.warns(UserWarning, match=r"left out 3 pictures of 'test', .*: 'c' with 1 picture, 'd' with 2") as told:
        assert load(root, "test", classes=("a", "b")).labels.tolist() == [0, 1]
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="left out 2 pictures of 'test'"):
        assert load(root, "test", classes=("c", "b", "a")).labels.tolist() == [2, 1, 0]
    with pytest.raises(DataError, match="expected a class of the data set; got 'dd'"):
        load(root, "test", classes=("a", "dd"))


def test_a_class_of_training_that_is_not_asked_for_is_left_out_without_a_word(plant: Plant) -> None:
    root = plant("train/a/1.png", "train/b/1.png", "train/c/1.png", "test/a/1.png", "test/b/1.png", "test/c/2.png")
    assert load(root, "test", classes=["c", "a"]).labels.tolist() == [1, 0]
    assert load(root, "train", classes=["c", "a"]).labels.tolist() == [1, 0]


def test_without_a_training_split_a_lacking_class_is_told(plant: Plant) -> None:
    root = plant("test/cat/1.png", "test/dog/1.png")
    with pytest.warns(UserWarning, match=r"no picture in 'test' of the classes 'emu'"):
        test = load(root, "test", classes=("emu", "dog", "cat"))
    assert test.labels.tolist() == [2, 1]
    with (
        pytest.raises(DataError, match="expected pictures of emu in 'test'; got those of cat, dog"),
        pytest.warns(UserWarning),
    ):
        load(root, "test", classes=["emu"])
    with pytest.raises(DataError, match=r"expected a class of the data set; got 'dgo'\. Did you mean 'dog'"):
        load(root / "test", ".", classes=["cat", "dgo"])


def test_one_name_in_two_unicode_forms_is_one_class(plant: Plant) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != apart
    root = plant(f"train/{apart}/1.png", "train/tea/1.png", f"test/{composed}/1.png", f"test/{apart}/2.png")
    for classes in (None, [composed, "tea"], [apart, "tea"]):
        test = load(root, "test", classes=classes)
        assert test.classes == (composed, "tea") and test.labels.tolist() == [0, 0]
    assert class_map([apart], ["x", composed], "evaluate") == [1]
    with pytest.raises(DataError, match=r"^evaluate: expected classes of the net \(x\); got 'y', 'z'"):
        class_map(["x", "y", "z"], ["x"], "evaluate")


def test_classes_in_which_nothing_can_be_read_are_named(plant: Plant) -> None:
    root = plant("train/a/1.png", "train/b/1.heic", "train/b/2.heic", "train/b/x.txt", "train/c/1.png", "train/empty")
    with pytest.warns(UserWarning) as told:
        found = load(root)
    assert found.classes == ("a", "c")
    texts = [str(warning.message) for warning in told]
    assert "class 'b' of 'train' is left out: its folder holds 2 .heic, 1 .txt" in texts[0] and len(texts) == 2
    assert "class 'empty' of 'train' is left out: its folder holds nothing" in texts[1]
    with pytest.warns(UserWarning, match=r"'b' of 'train' .* 2 \.heic"):
        load(plant("train/a/1.png", "train/b/1.heic", "train/b/2.heic", name="zipped", zipped=True))
    with pytest.warns(UserWarning, match=r"left out pictures of 'train' of kinds that are not read: 2 \.avif"):
        load(plant("train/a/1.png", "train/a/2.avif", "train/a/3.avif", "train/a/notes.txt", name="mixed"))
    with pytest.raises(DataError, match=r"Its pictures are of kinds that are not read: \.heic"):
        load(plant("train/a/1.heic", name="none"))


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPG", "jpeg"])
def test_jpegs_by_their_other_names(plant: Plant, suffix: str) -> None:
    root = plant("train/a/1.png")
    Image.new("RGB", (6, 6)).save(root / "train" / "a" / f"2.{suffix}", "JPEG")
    assert len(load(root)) == 2


def test_pictures_beside_the_class_folders_are_named(plant: Plant) -> None:
    with pytest.warns(UserWarning, match=r"left out 2 pictures beside the class folders of 'train': x\.png, y\.png"):
        load(plant("train/x.png", "train/y.png", "train/a/1.png", "cover.png"))


WRAPPED = [
    ("", "."), ("pets", "."), ("archive/pets", "."), ("", "train"), ("pets", "train"), ("archive/pets", "train"),
]  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("around", "split"), WRAPPED)
def test_what_is_wrapped_around_is_looked_through(plant: Plant, around: str, split: str, zipped: bool) -> None:
    inner = [f"{around}/{'' if split == '.' else 'train/'}{kind}/1.png".lstrip("/") for kind in ("dog", "cat")]
    stray = ["cover.png"] if around else []
    root = plant(*inner, "readme.txt", ".DS_Store/1.png", "__MACOSX/pets/cat/1.png", *stray, zipped=zipped)
    found = load(root, split)
    assert found.classes == ("cat", "dog") and found.labels.tolist() == [0, 1]
    assert splits(root) == (() if split == "." else ("train",))


def test_a_folder_named_as_its_split_is_looked_through(plant: Plant) -> None:
    assert load(plant("train/train/cat/1.png", "train/train/dog/1.png")).classes == ("cat", "dog")
    assert load(plant("train/train/1.png", "train/cat/1.png", name="classes")).classes == ("cat", "train")


def test_class_folders_may_have_folders(plant: Plant) -> None:
    root = plant("train/cat/2020/1.png", "train/cat/2.png", "train/dog/a/b/1.png", "test/cat/1.png")
    assert labels_of(root) == {"train/cat/2.png": "cat", "train/cat/2020/1.png": "cat", "train/dog/a/b/1.png": "dog"}
    torch.testing.assert_close(load(root).labels, torch.tensor(ImageFolder(root / "train").targets))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Validation"])
def test_the_names_of_a_validation_split(plant: Plant, name: str) -> None:
    root = plant("Train/a/1.png", "Train/b/1.png", f"{name}/b/1.png", "testing/a/1.png")
    assert splits(root) == tuple(sorted(["Train", name, "testing"]))
    for asked in ("val", "valid", "validation", "dev"):
        assert has_split(root, asked) and load(root, asked).labels.tolist() == [1]
    assert load(root).classes == load(root, "test").classes == ("a", "b")
    assert not has_split(root, "holdout") and not has_split(root / "nowhere", "val")


def test_the_exact_name_of_a_split_comes_first(plant: Plant) -> None:
    root = plant("train/a/1.png", "valid/a/1.png", "val/a/1.png", "val/a/2.png")
    assert len(load(root, "val")) == 2 and len(load(root, "valid")) == 1 and len(load(root, "dev")) == 2


def test_splits_are_no_classes(plant: Plant) -> None:
    root = plant("train/a/1.png", "test/a/1.png")
    with pytest.raises(
        DataError, match=r"expected class/image for split='\.'; got the splits test, train\. Give split="
    ):
        load(root, ".")


CLUTTER = [
    ".ipynb_checkpoints",
    "@eaDir",
    "__MACOSX",
    ".AppleDouble",
    "$RECYCLE.BIN",
    "#recycle",
    "lost+found",
    "__pycache__",
]


@pytest.mark.parametrize("zipped", [False, True])
def test_what_programs_leave_is_no_class(plant: Plant, zipped: bool) -> None:
    left = [f"{place}{name}/1.png" for name in CLUTTER for place in ("train/", "train/cat/", "")]
    root = plant("train/cat/1.png", "train/cat/._1.png", "train/dog/1.png", *left, zipped=zipped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert labels_of(root) == {"train/cat/1.png": "cat", "train/dog/1.png": "dog"}


@pytest.mark.parametrize("drive", ["", "C:\\", "\\", "D:\\data\\"])
def test_a_zip_with_backslashes(tmp_path: Path, plant: Plant, drive: str) -> None:
    picture = (plant("1.png") / "1.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as archive:
        archive.writestr(f"{drive}pets\\train\\", b"")
        for kind in ("cat", "dog"):
            archive.writestr(f"{drive}pets\\train\\{kind}\\1.png", picture)
            archive.writestr(f"..\\..\\{kind}\\2.png", picture)
    found = load(tmp_path / "windows.zip")
    assert found.classes == ("cat", "dog") and len(found) == 2


def test_a_name_that_is_twice_in_a_zip_counts_once(tmp_path: Path, plant: Plant) -> None:
    root = plant("1.png", "2.png")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("train/a/1.png", "train/a/1.png", "train\\a\\1.png", "train/b/1.png"):
            archive.write(root / ("2.png" if archive.namelist() else "1.png"), name)
    found = load(tmp_path / "twice.zip")
    assert len(found) == 2 and found[0][0][0, 0, 0] == 1
    assert (
        len(unlabelled(tmp_path / "twice.zip", classes=("a",), shape=(3, 6, 6), mean=(0.0,) * 3, std=(1.0,) * 3)) == 2
    )


def test_names_that_are_no_utf8_are_escaped(plant: Plant) -> None:
    root = plant("train/a/1.png", "train/b\udce9/caf\udce9.png", "train/b\udce9/\x1b[31m\n.png")
    found = load(root)
    assert found.classes == ("a", "b\\xe9")
    assert found.ids[1:] == ("train/b\\xe9/\\x1b[31m\\n.png", "train/b\\xe9/caf\\xe9.png")
    "".join((*found.ids, *found.classes)).encode("utf-8")
    assert shown("café 猫 👍🏽") == "café 猫 👍🏽"
    (root / "train" / "a" / "\udce9.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"\\xe9\.png: not a picture") as caught:
        load(root)
    str(caught.value).encode("utf-8")


def csv(root: Path, text: str, name: str = "labels.csv") -> Path:
    path = root / name
    path.write_text(text, encoding="utf-8")
    return path


HEADINGS = [
    "file,label\n",
    "",
    "id,breed\n",
    "image_id,other,label\n",
    "label,file\n",
    "Filename;Class\n",
    "\ufefffile\tlabel\r\n",
]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize(
    "named", ["{}.png", "train/{}.png", "{}", "./{}.png", "train\\{}.png", "somewhere/else/{}.png"]
)
def test_labels_in_a_csv(plant: Plant, heading: str, named: str) -> None:
    root = plant("train/x1.png", "train/x2.png", "train/x3.png")
    mark = ";" if ";" in heading else "\t" if "\t" in heading else ","
    rows = [(named.format("x1"), "dog"), (named.format("x2"), " cat "), (named.format("x3"), "dog")]
    if "other" in heading:
        lines = [mark.join((file, "7", label)) for file, label in rows]
    elif heading.startswith("label"):
        lines = [mark.join((label, file)) for file, label in rows]
    else:
        lines = [mark.join(row) for row in rows]
    path = csv(root, heading + "\n".join(lines) + "\n\n")
    expected = {"train/x1.png": "dog", "train/x2.png": "cat", "train/x3.png": "dog"}
    for labels in (path, str(path), "labels.csv"):
        assert labels_of(root, labels=labels) == expected
    shutil.make_archive(str(root), "zip", root)
    assert labels_of(root.with_suffix(".zip"), labels=path) == expected
    assert labels_of(root / "train", ".", labels=path) == {
        name.removeprefix("train/"): c for name, c in expected.items()
    }


def test_one_csv_for_all_splits_or_one_each(plant: Plant) -> None:
    root = plant("train/1.png", "train/2.png", "train/3.png", "test/1.png", "test/4.png")
    path = csv(root, "file,label\ntrain/1.png,b\ntrain/2.png,a\ntrain/3.png,c\ntest/1.png,c\ntest/4.png,a\n")
    assert labels_of(root, labels=path) == {"train/1.png": "b", "train/2.png": "a", "train/3.png": "c"}
    test = load(root, "test", labels=path)
    assert test.classes == ("a", "b", "c") and test.labels.tolist() == [2, 0]
    alone = csv(root, "1.png,c\n4.png,a\n", "test.csv")
    assert load(root, "test", labels=alone).classes == ("a", "c")
    with pytest.warns(UserWarning, match="no picture in 'test' of the classes 'b'"):
        assert load(root, "test", labels=alone, classes=("a", "b", "c")).labels.tolist() == [2, 0]
    unknown = csv(root, "train/1.png,b\ntrain/2.png,a\ntest/1.png,d\ntest/4.png,a\n", "unknown.csv")
    with pytest.raises(DataError, match=r"but those of train \(a, b\); got 'd' with 1 picture"):
        load(root, "test", labels=unknown)


BAD_CSV = [
    ("file,label\n1.png,a\n7.png,b\n", "every row of labels.csv to name a picture; got '7.png' in row 3."),
    ("7.png,b\n", "every row of labels.csv to name a picture; got '7.png' in row 1."),
    ("file,label\n1.png,a\n2.png,\n", "file and label in row 3 of labels.csv; got ['2.png', '']."),
    ("file,label\n1.png\n", "file and label in row 2 of labels.csv; got ['1.png']."),
    ("1.png,a\n1.png,b\n", "every picture once in labels.csv; got '1.png' a second time in row 2."),
    ("1.png,a\ntrain/1.png,a\n", "every picture once in labels.csv; got 'train/1.png' a second time in row 2."),
    ("file,label\n", "rows of file and label in labels.csv; got none."),
    ("", "rows of file and label in labels.csv; got none."),
]


@pytest.mark.parametrize(("text", "expected"), BAD_CSV)
def test_a_csv_that_cannot_be_right_names_the_row(plant: Plant, text: str, expected: str) -> None:
    root = plant("train/1.png", "train/2.png")
    with pytest.raises(DataError) as caught:
        load(root, labels=csv(root, text))
    assert expected in str(caught.value)


def test_other_labels_that_cannot_be(plant: Plant, tmp_path: Path) -> None:
    root = plant("train/1.png", "train/2.png")
    with pytest.raises(DataError, match=r"expected labels to be 'prefix' or the path of a CSV; got 'prefx'"):
        load(root, labels="prefx")
    (root / "bad.csv").write_bytes(b"1.png,caf\xe9\n")
    with pytest.raises(DataError, match=r"expected a CSV of file and label in UTF-8; got bad\.csv"):
        load(root, labels=root / "bad.csv")
    with pytest.raises(DataError, match=r"expected a CSV of file and label"):
        load(root, labels=root)
    with pytest.raises(OptionError, match="no labels= for 'digits'"):
        load("digits", labels="prefix")
    with pytest.warns(UserWarning, match=r"left out 1 picture without a row in labels\.csv: 2\.png"):
        assert len(load(root, labels=csv(root, "1.png,a\n"))) == 1


def test_labels_in_front_of_the_number(plant: Plant) -> None:
    root = plant(
        "train/cat.0.jpg", "train/cat.11.jpg", "train/golden_retriever_003.jpg", "train/pug (4).jpg", "train/a1b-7.jpg"
    )
    names = {
        "cat.0": "cat",
        "cat.11": "cat",
        "golden_retriever_003": "golden_retriever",
        "pug (4)": "pug",
        "a1b-7": "a1b",
    }
    assert labels_of(root, labels="prefix") == {f"train/{file}.jpg": kind for file, kind in names.items()}
    assert labels_of(root / "train", ".", labels="prefix").keys() == {f"{file}.jpg" for file in names}
    Image.new("RGB", (6, 6)).save(root / "train" / "cat.jpg")
    with pytest.raises(DataError, match=r"a class in front of a number, as in cat\.0\.jpg; got 'cat\.jpg'"):
        load(root, labels="prefix")


def test_loading_is_image_folders(plant: Plant) -> None:
    """The classes, their numbers and the order of the pictures are torchvision's."""
    random = np.random.default_rng(0)
    paths = [f"train/{kind}/{name}.png" for kind in ("b", "A", "10", "9") for name in random.integers(0, 99, 5)]
    root = plant(*paths)
    theirs, ours = ImageFolder(root / "train"), load(root)
    assert list(ours.classes) == theirs.classes and ours.labels.tolist() == theirs.targets
    assert [root / name for name in ours.ids] == [Path(path) for path, _ in theirs.imgs]


def test_a_lone_split_is_not_looked_through(plant: Plant) -> None:
    root = plant("train/a/1.png", "train/b/1.png")
    assert splits(root) == ("train",)
    for split in ("test", "val"):
        with pytest.raises(DataError, match=rf"expected a folder '{split}' in .*; got none\. It has: train\."):
            load(root, split)
    deeper = plant("train/a/x/1.png", "train/a/y/1.png", name="deeper")
    with pytest.raises(DataError, match=r"expected a folder 'a' in"):
        load(deeper, "a")
