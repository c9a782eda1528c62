"""The command line with folders, labels, names and terminals as people have them."""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallnets as sn
from smallnets.cli import main

Run = Callable[..., tuple[int, str, str]]
HOW = ("--epochs", "1", "--batch-size", "8", "--device", "cpu", "--set", "channels=[4,4,4]")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def pictures(folder: Path, count: int, shade: int, names: str = "{:03d}.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(shade)
    for number in range(count):
        pixels = random.integers(0, 40, (16, 16, 3), dtype=np.uint8) + np.uint8(shade)
        Image.fromarray(pixels).save(folder / names.format(number))


def report(folder: str = "run") -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(folder, "report.json").read_text())
    return found


def ids(folder: str) -> set[str]:
    with Path(folder, "predictions.csv").open() as file:
        return {row["id"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("around", ["", "archive/pets/"])
def test_class_folders_without_splits_hold_out_a_tenth_each(run: Run, around: str) -> None:
    for name, shade in (("cat", 20), ("dog", 200)):
        pictures(Path("pets", around, name), 40, shade)
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)
    assert code == 0, err
    assert "64 to train on, 8 to validate on (held out), 8 to test on (held out), looked at once" in out
    assert "(8 pictures, held out, looked at once)" in out and "best epoch 1 of 1; 8 pictures, held out)" in out
    assert "fit: training on 64 pictures of 2 classes, validating on 8 pictures of 2 classes" in err
    found = report()
    assert (found["train_pictures"], found["val_pictures"], found["test_pictures"]) == (64, 8, 8)
    assert found["tested_on"] == "8 to test on (held out), looked at once" and len(ids("run")) == 8
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "other", "--seed", "1", *HOW)
    assert code == 0 and ids("other") == ids("run"), err  # every seed is tested on the same
    assert run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)[1].startswith("data") and code == 0
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "none", "--test", "none", *HOW)
    assert code == 0 and "72 to train on, 8 to validate on (held out), split 'test' not looked at" in out
    shutil.make_archive("zipped", "zip", "pets")
    code, out, err = run("fit", "convnet3", "--data", "zipped.zip", "--run-dir", "zipped", *HOW)
    assert code == 0 and "64 to train on" in out, err


@pytest.mark.parametrize("folder", ["val", "valid", "validation", "dev", "Valid"])
def test_the_split_for_validation_that_is_there_is_used(run: Run, folder: str) -> None:
    for split, count in (("train", 12), (folder, 5)):
        for name, shade in (("cat", 20), ("dog", 200)):
            pictures(Path("pets", split, name), count, shade)
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)
    assert code == 0, err
    assert "splits 24 to train on, 10 to validate on (split 'val'), no split 'test'" in out
    assert "note   no split 'test' in pets: nothing will be tested" in out and "nothing was tested." in out
    assert report()["test_accuracy"] is None and report()["validated_on"] == "10 to validate on (split 'val')"
    assert "no split 'test'" in Path("run/report.md").read_text()


@pytest.mark.filterwarnings("default")
def test_a_class_that_training_has_not_is_said_before_training(run: Run) -> None:
    for split, names in (("train", "ab"), ("test", "abc")):
        for place, name in enumerate(names):
            pictures(Path("pets", split, name), 8, 100 * place)
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)
    assert code == 2 and not out and "'c' with 8 pictures" in err and not Path("run").exists()
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", "--classes", "a,b", *HOW)
    assert (
        code == 0
        and "warning: load: left out 8 pictures of 'test', of classes that classes= does not name: 'c'" in err
        and "note   load: left out 8 pictures of 'test'" in out
    )
    code, out, err = run("evaluate", "run", "--data", "pets", "--device", "cpu")
    assert code == 2 and "'c' with 8 pictures" in err
    shutil.move("pets/train", "elsewhere")
    code, out, err = run("evaluate", "run", "--data", "pets", "--device", "cpu")
    assert code == 2 and "expected classes of the net (a, b); got 'c' with 8 pictures" in err
    shutil.rmtree("pets/test/c")
    shutil.rmtree("pets/test/a")
    code, out, err = run("evaluate", "run", "--data", "pets", "--device", "cpu")
    assert code == 0 and "8 pictures" in out and "note: no samples of a, whose accuracy is not a number" in out
    assert (
        run("evaluate", "run", "--data", "pets/test", "--split", ".", "--device", "cpu")[1].splitlines()[0]
        == out.splitlines()[0]
    )


def test_a_split_without_a_class_is_tested_and_noted(run: Run) -> None:
    for split, names in (("train", "ab"), ("test", "a")):
        for place, name in enumerate(names):
            pictures(Path("pets", split, name), 10, 100 * place)
    code, out, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)
    assert code == 0 and "note            no samples of b, whose accuracy is not a number" in out, err
    assert report()["per_class"]["b"] is None  # type: ignore[index]


def test_labels_in_front_of_numbers_and_a_test_without_any(run: Run) -> None:
    for name, shade in (("cat", 20), ("dog", 200)):
        pictures(Path("kaggle/train"), 20, shade, name + ".{}.png")
    pictures(Path("kaggle/test"), 5, 20, "{}.png")
    code, out, err = run("fit", "convnet3", "--data", "kaggle", "--labels", "prefix", "--run-dir", "run", *HOW)
    assert code == 0, err
    assert "2 classes (cat, dog)" in out and "note   split 'test' has no labels, so nothing will be tested" in out
    code, out, err = run(
        "evaluate", "run", "--data", "kaggle", "--split", "train", "--labels", "prefix", "--device", "cpu"
    )
    assert code == 0 and "40 pictures" in out, err
    code, out, err = run("predict", "run", "kaggle/test", "--csv", "out.csv")
    assert code == 0 and out == "5 predictions in out.csv\n"


def test_labels_in_a_csv(run: Run) -> None:
    pictures(Path("flat"), 20, 20, "a{:02d}.png")
    pictures(Path("flat"), 20, 200, "b{:02d}.png")
    rows = [f"{kind}{number:02d}.png,{'cat' if kind == 'a' else 'dog'}" for kind in "ab" for number in range(20)]
    Path("labels.csv").write_text("file,label\n" + "\n".join(rows))
    code, out, err = run("fit", "convnet3", "--data", "flat", "--labels", "labels.csv", "--run-dir", "run", *HOW)
    assert code == 0 and "32 to train on, 4 to validate on (held out), 4 to test on (held out)" in out, err
    Path("labels.csv").write_text("file,label\n" + "\n".join([*rows, "nobody.png,cat"]))
    code, _, err = run("fit", "convnet3", "--data", "flat", "--labels", "labels.csv", "--run-dir", "two", *HOW)
    assert code == 2 and "'nobody.png' in row 42" in err and err.count("\n") == 1


@pytest.fixture
def trained(run: Run) -> Run:
    for split, count in (("train", 12), ("test", 4)):
        for name, shade in (("cat", 20), ("dog", 200)):
            pictures(Path("pets", split, name), count, shade)
    code, _, err = run("fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW)
    assert code == 0, err
    return run


def test_one_bad_file_is_named_and_the_others_are_predicted(trained: Run) -> None:
    Path("pets/test/cat/001.png").write_text("<html>not found</html>")
    code, out, err = trained("predict", "run", "pets/test", "--csv", "out.csv", "--grid", "out.png", "--device", "cpu")
    assert code == 1 and out == "7 predictions in out.csv\n" and Path("out.png").exists()
    assert "smallnets: predict: left out 1 of 8 pictures that cannot be read: cat/001.png (not a picture)" in err
    with Path("out.csv").open() as file:
        found = [row["id"] for row in csv.DictReader(file)]
    assert found == [
        f"{name}/{number:03d}.png" for name in ("cat", "dog") for number in range(4) if (name, number) != ("cat", 1)
    ]
    code, out, err = trained("predict", "run", "pets/test", "--device", "cpu")
    assert code == 1 and len(out.splitlines()) == 7
    code, out, err = trained("predict", "run", "pets/test/cat/001.png", "--device", "cpu")
    assert code == 2 and "expected at least one picture that can be read; got none: 001.png is not a picture" in err
    code, out, err = trained("predict", "run", "pets/test", "--on-error", "raise", "--csv", "no.csv")
    assert code == 2 and "001.png: not a picture" in err and not Path("no.csv").exists()
    assert trained("predict", "run", "pets/test", "--on-error", "ignore")[2].endswith(
        "one of 'skip', 'raise'; got 'ignore'.\n"
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_and_terminals_of_any_encoding(trained: Run, encoding: str) -> None:
    folder = Path("strange")
    folder.mkdir()
    for name in (b"caf\xe9.png", "\u732b.png".encode(), b"plain.png"):
        with contextlib.suppress(OSError):  # of a file system that takes UTF-8 alone
            shutil.copy("pets/test/dog/000.png", folder / os.fsdecode(name))
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "smallnets", "predict", "run", "strange", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode("utf-8" if encoding == "ascii" else encoding).splitlines()  # click takes no ASCII
    assert len(lines) == len(list(folder.iterdir())) and any(line.startswith("plain.png\t") for line in lines)
    done = subprocess.run([*command, "--csv", "out.csv"], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    text = Path("out.csv").read_text(encoding="utf-8")
    assert "\u732b.png" in text and (r"caf\xe9.png" in text or len(lines) == 2)


def test_a_class_of_another_alphabet_is_trained_and_reported(run: Run) -> None:
    for name, shade in (("\u732b", 20), ("\u72ac", 200)):
        pictures(Path("pets", name), 20, shade)
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "smallnets", "fit", "convnet3", "--data", "pets", "--run-dir", "run", *HOW]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0 and rb"\u732b" in done.stdout, done.stderr
    assert "\u732b" in Path("run/report.md").read_text(encoding="utf-8")


def test_class_weights_and_decay(run: Run) -> None:
    for name, count in (("cat", 30), ("dog", 10)):
        pictures(Path("pets", "train", name), count, 20)
    how = ("fit", "convnet3", "--data", "pets", *HOW)
    for given, kept in (("balanced", "balanced"), ("1,3", [1.0, 3.0])):
        code, _, err = run(*how, "--class-weights", given, "--decay", "weights", "--run-dir", f"run-{given}")
        assert code == 0, err
        options = json.loads(Path(f"run-{given}/config.json").read_text())["options"]
        assert options["class_weights"] == kept and options["decay"] == "weights"
    assert (
        "--class-weights: expected balanced, or a number a class; got 'even'."
        in run(*how, "--class-weights", "even")[2]
    )
    assert "expected 2 class_weights, one a logit; got 3" in run(*how, "--class-weights", "1,2,3", "--run-dir", "x")[2]


def test_a_folder_named_as_a_set_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, ending in (
        (None, "that holds them."),
        ("cifar10", "that holds them. The folder cifar10 here is ./cifar10."),
    ):
        if folder:
            Path(folder).mkdir()
        with pytest.raises(sn.DataError) as refused:
            sn.data.load("cifar10", root=tmp_path / "none")
        assert str(refused.value).endswith(ending)
