"""What a net knows of its data: bare pictures are normalised by it, and nothing by the call that they come in."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split

import smallnets as sn
from smallnets import DataError, OptionError
from smallnets.data import ImageSet, load
from smallnets.facts import facts_of

QUIET: dict[str, Any] = {"progress": False, "device": "cpu"}


class Reading(nn.Module):
    """Its logits are the first row of a picture's first channel: what the net was given."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 0]


def told(**facts: Any) -> nn.Module:
    net = Reading()
    net.data_facts = sn.DataFacts(**facts)  # type: ignore[assignment]
    return net


def taught() -> tuple[sn.LeNet, ImageSet]:
    digits = load("digits")[:400]
    net = sn.lenet5()
    sn.fit(net, digits, epochs=2, lr=3e-3, **QUIET)
    return net, digits


def test_a_digit_is_the_same_alone_beside_black_pictures_and_as_a_set(tmp_path: Path) -> None:
    net, _ = taught()
    sn.save(net, tmp_path / "net.safetensors", classes=[*"0123456789"])
    again, test = sn.load(tmp_path / "net.safetensors"), load("digits", "test")[:20]
    expected = sn.predict(again, test).probabilities
    black = torch.zeros(200, 1, 32, 32, dtype=torch.uint8)
    for one in range(3):
        picture = test.images[one : one + 1]
        ways = [picture, picture.numpy(), picture[0], torch.cat([picture, black]), torch.cat([picture, 255 - black])]
        for way in ways:
            found = sn.predict(again, way)
            torch.testing.assert_close(found.probabilities[0], expected[one], atol=1e-5, rtol=1e-4)
            assert found.classes == test.classes
    bare = sn.evaluate(again, (test.images, test.labels))
    assert bare.loss == pytest.approx(sn.evaluate(again, test).loss, rel=1e-6)


class Bytes(Dataset[tuple[Tensor, int]]):
    def __init__(self, pictures: ImageSet) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pictures.images[index], int(self.pictures.labels[index])


def test_every_kind_of_bare_uint8_is_normalised_as_in_training() -> None:
    net, digits = taught()
    expected = sn.evaluate(net, digits[:64]).loss
    part = digits[:64]
    ways: list[Any] = [
        (part.images.numpy(), part.labels.numpy()), [part.images, part.labels], Bytes(part), Subset(digits, range(64)),
        DataLoader(Bytes(part), 16), DataLoader(Subset(digits, torch.arange(64).flip(0)), 16), Subset(Bytes(digits), range(64)),
        ImageSet(part.labels, part.classes, part.ids, (0.5,), (0.1,), images=part.images), TensorDataset(part.images, part.labels),
    ]  # fmt: skip
    for data in ways:
        assert sn.evaluate(net, data, device="cpu").loss == pytest.approx(expected, rel=1e-6)


def test_a_dataset_of_bytes_is_measured_as_it_was_trained() -> None:
    digits, net = load("digits")[:64], nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))
    sn.fit(net, Bytes(digits), Bytes(digits[:32]), epochs=1, **QUIET)
    assert facts_of(net) == sn.DataFacts((), 1, (32, 32), (0.0,), (1.0,))
    expected = nn.functional.cross_entropy(net(digits.images.float() / 255), digits.labels).item()
    for data in (Bytes(digits), (digits.images, digits.labels), DataLoader(Bytes(digits), 16)):
        assert sn.evaluate(net, data, device="cpu").loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shared", [True, False], ids=["random_split", "loader"])
def test_parts_of_a_set_know_what_the_set_knows(shared: bool) -> None:
    digits = load("digits")[:100]
    train, val = random_split(digits, [80, 20], torch.Generator().manual_seed(0))
    net = sn.lenet5()
    data: Any = train if shared else DataLoader(train, 20)
    sn.fit(net, data, val, epochs=1, **QUIET)
    facts = facts_of(net)
    assert facts is not None and (facts.mean, facts.std, facts.classes) == (digits.mean, digits.std, digits.classes)
    chosen = DataLoader(Subset(digits, torch.randperm(10)), 5)  # type: ignore[arg-type]
    assert sn.evaluate(net, chosen).n == 10


IMAGES = torch.randint(1, 255, (4, 1, 8, 8), dtype=torch.uint8)
BARE: list[Any] = [
    (IMAGES, torch.arange(4)), TensorDataset(IMAGES, torch.arange(4)), DataLoader(TensorDataset(IMAGES, torch.arange(4)), 2),
    DataLoader(TensorDataset(IMAGES, torch.arange(4)), 2, collate_fn=torch.utils.data.default_collate),
    DataLoader(TensorDataset(IMAGES, torch.arange(4)), 2, collate_fn=lambda rows: (torch.stack([x for x, _ in rows]), torch.tensor([int(y) for _, y in rows]))),
]  # fmt: skip


@pytest.mark.parametrize("data", BARE, ids=range(len(BARE)))
def test_bare_bytes_into_a_net_that_knows_nothing_are_refused_with_the_ways_out(data: Any) -> None:
    text = (
        "expected mean and std by which to normalise uint8 pictures; got a net that knows none. Give an ImageSet, "
        "tell the net (net.data_facts = DataFacts(mean=..., std=...)), or normalise them yourself and give floats."
    )
    with pytest.raises(DataError, match=re.escape(f"evaluate: {text}")):
        sn.evaluate(Reading(), data)
    with pytest.raises(DataError, match=re.escape(f"predict: {text}")):
        sn.predict(Reading(), data)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    with pytest.raises(DataError, match="got a training set of floats that tells none"):
        sn.fit(net, (torch.randn(8, 1, 8, 8), torch.arange(8) % 4), data, epochs=1, **QUIET)


def test_facts_are_told_by_hand_to_any_net() -> None:
    net = told(mean=[0.5], std=[0.25])
    found = sn.predict(net, IMAGES).probabilities
    torch.testing.assert_close(found, ((IMAGES.float() / 255 - 0.5) / 0.25)[:, 0, 0].softmax(dim=1))
    net.data_facts = {"mean": [0.5], "std": [0.25]}  # type: ignore[assignment]
    assert torch.equal(sn.predict(net, IMAGES).probabilities, found)
    with pytest.raises(DataError, match="expected 3-channel pictures, as the net was trained on; got 1-channel ones"):
        sn.predict(told(mean=(0.5,) * 3, std=(0.25,) * 3), IMAGES)


def test_floats_that_look_like_bytes_divided_are_remarked_upon_once() -> None:
    net, digits = taught()
    part = digits[:20]
    floats, labels = part.images.float() / 255, part.labels
    for data in ((floats, labels), TensorDataset(floats, labels), DataLoader(TensorDataset(floats, labels), 5)):
        with pytest.warns(UserWarning, match=r"floats are taken as they are, and these lie in \[0, 1\]") as caught:
            sn.evaluate(net, data, tta="flip", device="cpu")
        assert len(caught) == 1
    with pytest.warns(UserWarning, match="^fit: floats are taken as they are") as caught:
        sn.fit(net, digits, (floats, labels), epochs=2, **QUIET)
    assert len(caught) == 1
    normal = (floats - digits.mean[0]) / digits.std[0]
    assert sn.evaluate(net, (normal, labels)).loss == pytest.approx(sn.evaluate(net, part).loss, rel=1e-5)  # no word


def test_validation_is_normalised_by_the_training_set() -> None:
    digits = load("digits")[:200]
    train, val = digits[:150], digits[150:]
    other = ImageSet(val.labels, val.classes, val.ids, (0.9,), (0.1,), images=val.images)
    losses = []
    for data in (val, other, (val.images, val.labels), Bytes(val)):
        torch.manual_seed(0)
        losses.append(sn.fit(sn.lenet5(), train, data, epochs=1, **QUIET)["val_loss"][0])
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_places_and_pictures_are_predicted_as_the_command_line_does(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = image_folder()
    train = load(root)
    net = sn.convnet3(2, input_size=16)
    sn.fit(net, train, epochs=2, lr=3e-3, **QUIET)
    whole = load(root, "test")
    expected = dict(zip(whole.ids, sn.predict(net, whole).probabilities, strict=True))
    files = sorted((root / "test").rglob("*.png"))
    import shutil

    shutil.make_archive(str(tmp_path / "packed"), "zip", root / "test")
    pillow = [Image.open(file) for file in files]
    ways: list[Any] = [
        root / "test",
        str(root / "test"),
        files,
        [str(f) for f in files],
        pillow,
        tmp_path / "packed.zip",
    ]
    ways += [tuple(files), [root / "test" / "cat", root / "test" / "dog"], files[0], pillow[0], str(files[0])]
    for way in ways:
        found = sn.predict(net, way)
        assert found.classes == ("cat", "dog") and len(found) in (1, 12)
        for place, name in enumerate(files[: len(found)]):
            torch.testing.assert_close(found.probabilities[place], expected[name.relative_to(root).as_posix()])
    assert sn.predict(net, files[3]).ids == ("003.png",)
    assert sn.predict(net, files).ids[3] == "cat/003.png"
    del pillow
    with pytest.raises(DataError, match="expected a net that knows size, mean and std of its pictures"):
        sn.predict(sn.convnet3(2), files[0])


def test_pictures_in_pillows_hands_are_upright_over_white_and_deep_as_those_in_files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    colours = Image.fromarray(random.integers(0, 255, (20, 30, 4), dtype=np.uint8), "RGBA")
    colours.save(tmp_path / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    colours.convert("RGB").save(tmp_path / "turned.jpg", exif=turned, quality=95)
    Image.fromarray(random.integers(0, 4096, (20, 30), dtype=np.uint16)).save(tmp_path / "deep.png")
    colours.quantize(16).save(tmp_path / "palette.gif")
    net = told(channels=3, size=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3, white=4095)
    names = ["alpha.png", "turned.jpg", "deep.png", "palette.gif"]
    held = [Image.open(tmp_path / name) for name in names]
    found, expected = sn.predict(net, held), sn.predict(net, [tmp_path / name for name in names])
    assert torch.equal(found.probabilities, expected.probabilities) and list(found.ids) == names
    for picture in held:
        picture.close()


def test_one_bad_file_among_many_is_listed_and_skipped(tmp_path: Path) -> None:
    for number in range(40):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "07.png").write_text("<html>404</html>")
    (tmp_path / "39.png").write_bytes((tmp_path / "38.png").read_bytes()[:30])
    net = told(channels=1, size=(8, 8), mean=(0.0,), std=(1.0,))
    with pytest.warns(
        UserWarning, match=r"left out 2 of 40 pictures that cannot be read: 07.png \(not a picture\), 39"
    ):
        found = sn.predict(net, tmp_path, batch_size=16)
    good = [f"{number:02d}.png" for number in range(40) if number not in (7, 39)]
    assert list(found.ids) == good and [*found.left_out] == ["07.png", "39.png"]
    with pytest.raises(DataError, match=r"07\.png"):
        sn.predict(net, tmp_path, on_error="raise")
    with pytest.raises(DataError, match=r"at least one picture that can be read; got none: 07\.png is not a picture"):
        sn.predict(net, tmp_path / "07.png")
    with pytest.raises(OptionError, match="on_error to be one of 'skip', 'raise'; got 'ignore'"):
        sn.predict(net, tmp_path, on_error="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["nowhere", ["nowhere"], "", Path("nowhere/at/all.png")])
def test_a_path_that_is_not_there_is_said(wrong: Any) -> None:
    with pytest.raises(DataError, match="predict: expected an existing picture, folder or zip"):
        sn.predict(told(channels=1, size=(8, 8), mean=(0.0,), std=(1.0,)), wrong)


def test_channels_last_arrays_are_told_how_to_turn() -> None:
    arrays = np.zeros((4, 32, 32, 3), np.uint8), np.arange(4)
    text = r"expected pictures \(C, H, W\); got \(32, 32, 3\), channels last. Turn them: images.permute\(0, 3, 1, 2\)"
    for call in (sn.fit, sn.evaluate):
        with pytest.raises(DataError, match=text):
            call(sn.convnet3(), arrays)
    floats = arrays[0].astype(np.float32), arrays[1]
    with pytest.raises(DataError, match=text):
        sn.evaluate(sn.convnet3(), floats)
