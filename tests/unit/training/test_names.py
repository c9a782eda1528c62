"""A class is its name: in validation, measuring and predicting, wherever both sides have names."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import smallnets as sn
from smallnets import DataError, OptionError
from smallnets.data import ImageSet

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "check": False}
SHADES = {"ant": 0, "bee": 100, "cat": 200}


def shades(classes: Sequence[str], each: int = 8, without: Sequence[str] = ()) -> ImageSet:
    """Every class is a shade of grey."""
    labels = torch.tensor([place for place, name in enumerate(classes) for _ in range(0 if name in without else each)])
    values = torch.tensor([SHADES.get(unicodedata.normalize("NFC", name), 50) for name in classes])[labels]
    images = values.to(torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4).clone()
    ids = tuple(f"{number:03d}" for number in range(len(labels)))
    return ImageSet(labels, tuple(classes), ids, (0.0,), (1.0,), images=images)


class Shades(nn.Module):
    """Knows the three shades, in the order of its classes."""

    def __init__(self, *classes: str) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor([SHADES[name] / 255 for name in classes]))
        self.scale = nn.Parameter(torch.tensor(50.0))
        self.data_facts = sn.DataFacts(classes, 1, (4, 4), (0.0,), (1.0,))

    def forward(self, x: Tensor) -> Tensor:
        return -self.scale * (x[:, 0, 0, :1] - self.values).abs()


class Named(Dataset[tuple[Tensor, int]]):
    def __init__(self, pictures: ImageSet, classes: Any = None) -> None:
        self.pictures, self.classes = pictures, list(pictures.classes) if classes is None else classes

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pictures.images[index].float() / 255, int(self.pictures.labels[index])


@pytest.mark.filterwarnings("ignore:.*floats are taken as they are")
@pytest.mark.parametrize("classes", [("ant", "bee", "cat"), ("cat", "ant", "bee"), ("bee", "cat"), ("cat",)])
@pytest.mark.parametrize("kind", ["set", "dataset", "loader", "subset", "loader of subset", "concat"])
def test_another_order_is_mapped(classes: tuple[str, ...], kind: str) -> None:
    pictures = shades(classes)
    whole = Named(pictures)
    data: Any = {
        "set": pictures, "dataset": whole, "loader": DataLoader(whole, 5), "subset": Subset(whole, range(len(whole))),
        "loader of subset": DataLoader(Subset(whole, range(len(whole))), 5), "concat": ConcatDataset([whole, whole]),
    }[kind]  # fmt: skip
    net = Shades("ant", "bee", "cat")
    found = sn.evaluate(net, data, device="cpu")
    assert found.accuracy == 1 and list(found.per_class) == ["ant", "bee", "cat"]
    assert [name for name, value in found.per_class.items() if value == 1] == sorted(classes)
    absent = sorted({"ant", "bee", "cat"} - set(classes))
    assert (found.notes == ()) == (not absent) and all(name in found.notes[0] for name in absent)
    told = sn.predict(net, data, device="cpu")
    assert (
        told.classes == ("ant", "bee", "cat") and [told.classes[label] for label in told.labels[:8]] == [classes[0]] * 8
    )


@pytest.mark.parametrize("kind", ["set", "dataset", "loader"])
def test_other_names_are_refused(kind: str) -> None:
    pictures = shades(("ant", "bee", "dog"))
    data: Any = {"set": pictures, "dataset": Named(pictures), "loader": DataLoader(Named(pictures), 5)}[kind]
    count = " with 8 pictures" if kind == "set" else ""
    for who, call in (("evaluate", sn.evaluate), ("predict", sn.predict)):
        with pytest.raises(
            DataError, match=rf"^{who}: expected classes of the net \(ant, bee, cat\); got 'dog'{count}. Load"
        ):
            call(Shades("ant", "bee", "cat"), data)
    done: list[Any] = []
    with pytest.raises(
        DataError, match=rf"^fit: expected classes of the training set \(ant, bee, cat\); got 'dog'{count}"
    ):
        sn.fit(Shades("ant", "bee", "cat"), shades(("ant", "bee", "cat")), data, callbacks=[done.append], **QUIET)
    assert not done


def test_two_ways_to_write_an_accent_are_one_name() -> None:
    SHADES["café"] = 100
    try:
        net = Shades("ant", "café")
        pictures = shades((unicodedata.normalize("NFD", "café"), "ant"))
        assert len(pictures.classes[0]) == 5
        found = sn.evaluate(net, pictures)
        assert found.accuracy == 1 and list(found.per_class) == ["ant", "café"]
    finally:
        del SHADES["café"]


@pytest.mark.filterwarnings("ignore:.*floats are taken as they are")
def test_validation_is_by_name_and_may_lack_a_class() -> None:
    train = shades(("ant", "bee", "cat"))
    for val in (
        shades(("cat", "bee", "ant")),
        shades(("cat", "ant")),
        Named(shades(("bee", "cat"))),
        shades(("cat", "bee", "ant"), without=["bee"]),
    ):
        rows = sn.fit(Shades("ant", "bee", "cat"), train, val, epochs=1, lr=0.0, **QUIET)
        assert rows["val_accuracy"] == [1.0]


def test_image_folders_as_train_and_val(tmp_path: Path) -> None:
    """torchvision numbers the classes of each folder for itself."""
    for split, names in (("train", "abc"), ("val", "bc"), ("other", "abd")):
        for place, name in enumerate(names):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(6):
                Image.new("L", (4, 4), SHADES[{"a": "ant", "b": "bee", "c": "cat", "d": "cat"}[name]]).save(
                    tmp_path / split / name / f"{place}{number}.png"
                )
    ready = v2.Compose([v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    train, val, other = (ImageFolder(str(tmp_path / split), ready) for split in ("train", "val", "other"))
    net = Shades("ant", "bee", "cat")
    del net.data_facts
    rows = sn.fit(net, train, val, epochs=1, lr=0.0, **QUIET)
    assert rows["val_accuracy"] == [1.0]
    assert net.data_facts == sn.DataFacts(("a", "b", "c"), 1, (4, 4))
    assert list(sn.evaluate(net, DataLoader(val, 4, shuffle=True)).per_class) == ["a", "b", "c"]
    assert sn.predict(net, val).classes == ("a", "b", "c")
    with pytest.raises(DataError, match="got 'd'"):
        sn.fit(net, train, other, epochs=1, **QUIET)


def test_names_of_a_net_that_knows_none_are_the_sets() -> None:
    net = Shades("ant", "bee", "cat")
    del net.data_facts
    for data in (shades(("x", "y", "z")), Named(shades(("x", "y", "z")))):
        assert list(sn.evaluate(net, data).per_class) == ["x", "y", "z"] and sn.predict(net, data).classes == (
            "x",
            "y",
            "z",
        )
    assert list(sn.evaluate(net, Named(shades(("x", "y")))).per_class) == ["0", "1", "2"]  # not one a logit


NOT_NAMES: list[Any] = [None, [0, 1, 2], {"ant": 0}, ["ant", "ant", "bee"], 3, np.array([1, 2, 3]), [("ant", 1)], []]


@pytest.mark.parametrize("classes", NOT_NAMES, ids=range(len(NOT_NAMES)))
@pytest.mark.filterwarnings("ignore:.*floats are taken as they are")
def test_what_is_no_list_of_names_is_none(classes: Any) -> None:
    data = Named(shades(("ant", "bee", "cat")))
    data.classes = classes
    assert sn.evaluate(Shades("ant", "bee", "cat"), data).accuracy == 1


@pytest.mark.filterwarnings("ignore:.*floats are taken as they are")
def test_names_as_other_sets_write_them() -> None:
    digits = Shades("ant", "bee", "cat")
    digits.data_facts = sn.DataFacts(("0", "1", "2"), 1, (4, 4), (0.0,), (1.0,))
    data = Named(shades(("ant", "bee", "cat")), ["0 - zero", "1 - one", "2 - two"])
    assert sn.evaluate(digits, data).accuracy == 1
    synonyms = Named(shades(("bee", "cat")), [("tench", "Tinca tinca"), ("goldfish",)])
    digits.data_facts = sn.DataFacts(("goldfish", "tench, Tinca tinca", "x"), 1, (4, 4), (0.0,), (1.0,))
    assert sn.evaluate(digits, synonyms).confusion[1].sum() == 8
    renamed = Named(shades(("ant", "bee", "cat")), ["x", "y", "z"])
    renamed.target_transform = int  # type: ignore[attr-defined]
    assert sn.evaluate(Shades("ant", "bee", "cat"), renamed).accuracy == 1


def test_parts_with_other_class_lists_are_refused() -> None:
    parts = ConcatDataset([Named(shades(("ant", "bee"))), Named(shades(("bee", "ant")))])
    with pytest.raises(DataError, match="expected a ConcatDataset of parts with the same classes; got"):
        sn.evaluate(Shades("ant", "bee"), parts)


def test_a_new_head_has_other_classes() -> None:
    net = sn.lenet5(3)
    net.data_facts = sn.DataFacts(("a", "b", "c"), 1, (32, 32), (0.5,), (0.5,))  # type: ignore[assignment]
    net.reset_classifier(2)
    pictures = ImageSet(
        torch.arange(2), ("x", "y"), ("0", "1"), (0.5,), (0.5,), images=torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    )
    assert list(sn.evaluate(net, pictures).per_class) == ["x", "y"]


SHUFFLED: list[Any] = [
    {"shuffle": True}, {"sampler": SubsetRandomSampler(range(5))}, {"sampler": range(4, 9)},
    {"batch_sampler": [[3, 1], [0, 2]]},
]  # fmt: skip


@pytest.mark.parametrize("how", SHUFFLED, ids=range(len(SHUFFLED)))
def test_a_loader_in_an_order_of_its_own_is_not_predicted(how: dict[str, Any]) -> None:
    data = Named(shades(("ant", "bee", "cat")))
    with pytest.raises(
        OptionError, match=r"predict: expected a DataLoader in the Dataset's order; got .* shuffle=False"
    ):
        sn.predict(Shades("ant", "bee", "cat"), DataLoader(data, **how))


@pytest.mark.filterwarnings("ignore:.*floats are taken as they are")
def test_rows_that_a_loader_drops_are_told() -> None:
    data, net = Named(shades(("ant", "bee", "cat"))), Shades("ant", "bee", "cat")
    assert sn.predict(net, DataLoader(data, 5)).ids == tuple(map(str, range(24)))
    for call in (sn.evaluate, sn.predict):
        with pytest.warns(UserWarning, match="left out 4 samples, for the DataLoader drops its last batch"):
            call(net, DataLoader(data, 5, drop_last=True))


def test_fit_says_what_it_trains_and_validates_on_before_the_first_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    train, val = shades(("ant", "bee", "cat")), shades(("cat", "ant", "bee"), each=2, without=["bee"])
    sn.fit(Shades("ant", "bee", "cat"), train, val, epochs=1, lr=0.0, device="cpu", check=False)
    lines = capsys.readouterr().err.splitlines()
    told = "fit: training on 24 pictures of 3 classes, validating on 4 pictures of 3 classes (none of bee)"
    assert lines.index(told) < next(place for place, line in enumerate(lines) if line.startswith("epoch 1/1"))


@pytest.mark.parametrize("kind", ["tensor", "array", "pair", "dataset"])
def test_pictures_without_names_are_told_by_the_nets(kind: str) -> None:
    net = sn.resnet20(num_classes=3)
    net.data_facts = sn.DataFacts(("cat", "dog", "owl"), 3, (32, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    pair = images, torch.zeros(2, dtype=torch.long)
    given: Any = {"tensor": images, "array": images.numpy(), "pair": pair, "dataset": TensorDataset(*pair)}[kind]
    assert sn.predict(net, given).classes == ("cat", "dog", "owl")
