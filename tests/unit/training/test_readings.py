"""How files became the pictures of training stays with the net: a file is read in the same way ever after."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

import smallnets as sn
from smallnets import OptionError
from smallnets.cli import main
from smallnets.data import ImageSet, ImageStream, load
from smallnets.experiments.runs import open_run
from smallnets.facts import facts_of

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "augment": "none", "epochs": 1}
SIZE, CROP = 16, 0.8


def noise(path: Path, seed: int, turned: int = 1, size: tuple[int, int] = (45, 30)) -> Path:
    """A picture of slopes, stored with an orientation."""
    height, width = size[1], size[0]
    draw = np.random.default_rng(seed)
    slope = np.linspace(0, 200, width)[None, :, None] * draw.random(3) + np.linspace(0, 55, height)[:, None, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = turned
    Image.fromarray(slope.astype(np.uint8)).save(path, exif=exif, quality=95)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        noise(tmp_path / "pets" / "train" / "ab"[number % 2] / f"{number}.jpg", number, turned=6)
        noise(tmp_path / "pets" / "val" / "ab"[number % 2] / f"{number}.jpg", number + 9, turned=6)
    return tmp_path / "pets"


def by_hand(path: Path, crop: float, exif: bool) -> torch.Tensor:
    """(C, H, W) by Pillow alone."""
    picture = Image.open(path).convert("RGB")
    picture = picture.transpose(Image.Transpose.ROTATE_270) if exif else picture
    shorter = round(SIZE / crop)
    scale = shorter / min(picture.size)
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = round((picture.width - SIZE) / 2), round((picture.height - SIZE) / 2)
    pixels = np.asarray(picture.crop((left, top, left + SIZE, top + SIZE)))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


WAYS: list[dict[str, Any]] = [{"crop": CROP}, {"exif": False}, {"crop": CROP, "exif": False}, {}]


@pytest.mark.parametrize("how", WAYS, ids=map(str, WAYS))
@pytest.mark.parametrize("memory_limit", [None, 1], ids=["set", "stream"])
def test_a_file_is_read_as_in_training_by_whatever_becomes_of_the_net(
    folder: Path, tmp_path: Path, how: dict[str, Any], memory_limit: int | None
) -> None:
    train = load(folder, size=SIZE, memory_limit=memory_limit, **how)
    assert isinstance(train, ImageStream if memory_limit else ImageSet)
    net = sn.convnet3(2, input_size=SIZE)
    sn.fit(net, train, run_dir=tmp_path / "run", **QUIET)
    sn.save(net, tmp_path / "net.safetensors")
    photo = noise(tmp_path / "photo.jpg", 50, turned=6, size=(80, 50))
    pixels = by_hand(photo, how.get("crop", 1.0), how.get("exif", True))
    expected = sn.predict(net, pixels).probabilities
    nets = [net, sn.load(tmp_path / "net.safetensors"), sn.load(tmp_path / "run"), open_run(tmp_path / "run")[0]]
    nets.append(sn.load(tmp_path / "run" / "best.ckpt"))
    for each in nets:
        for way in (photo, [str(photo)], Image.open(photo)):
            torch.testing.assert_close(sn.predict(each, way).probabilities, expected)
        facts = facts_of(each)
        assert facts is not None and (facts.crop, facts.exif) == (how.get("crop", 1.0), how.get("exif", True))
    shown = sn.explain(nets[1], photo).picture
    assert torch.equal((shown * 255).round().to(torch.uint8), pixels)


def test_validation_says_how_files_are_measured_and_wrapped_sets_say_it_too(folder: Path) -> None:
    how: dict[str, Any] = {"size": SIZE, "channels": 3}
    train, val = load(folder, **how), load(folder, "val", crop=CROP, **how)
    for each in (val, Subset(val, [1, 0]), DataLoader(val, 2)):
        net = sn.convnet3(2, input_size=SIZE)
        sn.fit(net, train, each, **QUIET)
        assert facts_of(net).crop == CROP  # type: ignore[union-attr]
    net = sn.convnet3(2, input_size=SIZE)
    loader = DataLoader(val, 2)
    sn.fit(net, loader, (val.images, val.labels), progress=False, epochs=1)  # type: ignore[union-attr]
    assert facts_of(net).crop == CROP  # type: ignore[union-attr]  # a pair tells nothing


def test_what_is_not_scaled_is_not_cropped(folder: Path) -> None:
    whole = load(folder, crop=CROP)
    stream = load(folder, crop=CROP, memory_limit=1)
    assert whole.crop == stream.crop == 1 and torch.equal(whole[0][0], stream[0][0])


def test_export_and_the_command_line_know_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, val = (load(folder, split, size=SIZE, crop=CROP, exif=False) for split in ("train", "val"))
    net = sn.convnet3(2, input_size=SIZE)
    sn.fit(net, train, run_dir=tmp_path / "run", **QUIET)
    expected = sn.evaluate(net, val).loss
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path / "run"), "--data", str(folder), "--split", "val", "--json", "-"])
    assert not left.value.code

    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(expected, rel=1e-5)
    sn.export(net, tmp_path / "net.pt2")
    extra = {"smallnets.json": ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    about = json.loads(extra["smallnets.json"])
    assert (about["crop"], about["exif"]) == (CROP, False)


WRONG: list[dict[str, Any]] = [
    {"crop": 0}, {"crop": 2}, {"crop": "all"}, {"exif": None}, {"exif": "no"}, {"mean": "abc"}, {"mean": 0.5},
    {"mean": (None,)}, {"std": (0.0,)}, {"std": (float("nan"),)}, {"classes": "ab"}, {"classes": (1, 2)},
    {"channels": "3"}, {"channels": 0}, {"white": 0.5}, {"source": 5},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=map(str, WRONG))
def test_facts_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"DataFacts: expected {next(iter(wrong))} to be"):
        sn.DataFacts(**wrong)


def test_facts_are_taken_from_whatever_sequence() -> None:
    given = ([0.5], (0.5,), np.array([0.5], dtype=np.float32), torch.tensor([0.5]))
    assert {sn.DataFacts(mean=each, std=each) for each in given} == {sn.DataFacts(mean=(0.5,), std=(0.5,))}  # type: ignore[arg-type]
    net = sn.convnet3(1)
    net.data_facts = {"mean": "abc", "std": (1.0,)}  # type: ignore[assignment]
    with pytest.raises(OptionError, match="DataFacts: expected mean to be a number a channel; got 'abc'"):
        sn.predict(net, torch.zeros(1, 3, 32, 32))


def test_older_files_say_nothing_of_it(tmp_path: Path) -> None:
    known = sn.DataFacts(("a",), 3, (8, 8), (0.5,) * 3, (0.5,) * 3).to_dict()
    del known["crop"], known["exif"], known["white"]
    found = sn.DataFacts.from_dict(known)
    assert (found.crop, found.exif, found.white) == (1.0, True, None)
    net = sn.convnet3(1)
    sn.save(net, tmp_path / "net.safetensors", data_facts=known)
    assert facts_of(sn.load(tmp_path / "net.safetensors")) == found
