"""The command line: what it prints, and one line for every mistake."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import smallnets as sn
from smallnets.cli import main
from smallnets.cli.parsing import parse_settings
from smallnets.cli.recipes import parse_values
from smallnets.data import decoding, image_files, statistics
from smallnets.experiments import experiment, report, splits
from smallnets.training import group
from smallnets.training.group import Group

Make = Callable[..., Path]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


Run = Callable[..., tuple[int, str, str]]


def test_list_is_a_table(run: Run) -> None:
    code, out, _ = run("list")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["net", "paper", "input", "parameters", "MACs", "smallest"]
    row = next(line for line in lines if line.startswith("lenet5"))
    assert "LeCun et al. 1998" in row and "61,706" in row and "416,520" in row
    assert run("list", "conv*")[1].splitlines()[1].startswith("convnet3")


def test_show_takes_settings_and_an_input(run: Run) -> None:
    code, out, _ = run("show", "vgg", "--set", "cfg=[8,'M',(1,16)]", "--set", "head=linear", "--input", "3,10,6")
    assert code == 0 and "1x16x5x3" in out and "538 (" in out  # 3*8*9+8 + 8*16+16 + 16*10+10
    code, out, err = run("show", "lenet5", "--input", "1,28,28")
    assert code == 2 and "features" in out and err.count("\n") == 1 and "resize the pictures to 32x32" in err


COMMANDS = ["", "list", "show", "fit", "evaluate", "predict", "recipe", "recipe list", "recipe show", "recipe run",
            "compare", "sweep"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(run: Run, command: str) -> None:
    code, out, _ = run(*command.split(), "--help")
    assert code == 0 and f"Usage: smallnets {command}".rstrip() in out


def test_the_help_begins_with_what_one_does_first(run: Run) -> None:
    lines = run("--help")[1].partition("Commands:\n")[2].splitlines()
    found = [line.split()[0] for line in lines if line.strip()]
    assert found[:3] == ["fit", "evaluate", "predict"] and found[-1] == "compare" and len(found) == 11


def test_help_keeps_what_stands_in_square_brackets(run: Run) -> None:
    out = run("fit", "--help")[1]
    assert out.count("[net's own]") >= 7 and "[runs/NET-DATA]" in out and "[default: 0.9]" in out
    assert "Exit codes: 0 done" in " ".join(run("--help")[1].split())


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"smallnets {sn.__version__}\n", "")


def test_json_on_stdout_and_in_a_file(run: Run) -> None:
    code, out, _ = run("list", "lenet*", "--json", "-")
    assert code == 0 and json.loads(out)[0]["parameters"] == 61_706
    code, out, _ = run("show", "lenet5", "--json", "-")
    assert code == 0 and json.loads(out)["totals"]["params"] == 61_706
    code, out, _ = run("recipe", "list", "--json", "out.json")
    assert code == 0 and "r4-vgg16-three" in out
    assert any(found["name"] == "r4-vgg16-three" for found in json.loads(Path("out.json").read_text()))
    code, out, err = run("list", "--json", "no/where.json")
    assert code == 2 and err.count("\n") == 1 and "expected to write no/where.json" in err


def test_recipes_are_listed_and_shown(run: Run) -> None:
    code, out, _ = run("recipe", "list")
    assert code == 0 and out.splitlines()[0].split()[:3] == ["recipe", "system", "net"]
    row = next(line for line in out.splitlines() if line.startswith("r7-convnet3"))
    assert "R7" in row and "0.7834" in row
    code, out, _ = run("recipe", "show", "r7-convnet3")
    assert code == 0 and "batch_size = 30" in out and "command: smallnets recipe run r7-convnet3 --data PATH" in out


def test_words_that_look_like_python_are_words(run: Run) -> None:
    assert "60,000" in run("show", "lenet5", "--set", "variant=1998")[1]
    assert parse_settings(["variant=2012", "augment=none", "test=None", "mix=none", "epochs=3"]) == {
        "variant": "2012", "augment": "none", "test": "none", "mix": None, "epochs": 3
    }  # fmt: skip
    assert parse_values(["augment=none,crop", "variant=1998,modern"]) == {
        "augment": ["none", "crop"],
        "variant": ["1998", "modern"],
    }


def test_a_sweep_that_fails_in_part_exits_with_1(run: Run, image_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(
        'title = "Tiny"\nnet = "convnet3"\noptions = { channels = [4, 4, 4], hidden = [8], input_size = 16 }\n'
        '[fit]\nepochs = 1\noptimizer = "sgd"\n'
    )
    command = ("sweep", "tiny.toml", "--data", str(image_folder()), "--run-dir", "s", "--device", "cpu")
    code, out, _ = run(*command, "--set", "lr=1e30,0.01")
    assert code == 1 and "this run failed: fit: expected finite numbers" in out and "lr=0.01" in out
    assert run(*command, "--set", "lr=0.01,0.02")[0] == 0
    code, out, err = run(*command, "--set", "lr=0.01", "--set", "momentum=0.1,0.2", "--epochs", "0")
    assert code == 2 and "epochs" in err and not out


def test_a_recipe_a_sweep_and_a_comparison(run: Run, image_folder: Make) -> None:
    root = str(image_folder(size=(32, 32)))
    how = ("--data", root, "--epochs", "1", "--device", "cpu")
    code, out, err = run("recipe", "run", "r7-convnet3", *how, "--set", "batch_size=8", "--set", "channels=[4,4,4]",
                         "--run-dir", "one", "--limit", "30")  # fmt: skip
    assert code == 0, err
    assert "reported        0.7834" in out and "30 to train on, nothing held out" in out
    code, out, err = run("sweep", "r7-convnet3", *how, "--set", "batch_size=8,10", "--set", "channels=(4,4,4),(2,2,2)",
                         "--run-dir", "many", "--json", "-")  # fmt: skip
    assert code == 0 and [line["runs"] for line in json.loads(out)] == [1] * 4 and "run 4 of 4" in err
    code, out, _ = run("compare", "one", "many", "--csv", "out.csv", "--png", "out.png")
    assert code == 0 and len(out.splitlines()) == 7 and len(Path("out.csv").read_text().splitlines()) == 6
    assert Path("out.png").stat().st_size > 5000


def test_a_size_is_one_number_or_two(run: Run, image_folder: Make) -> None:
    root = image_folder(size=(20, 20))
    how = ("fit", "resnet20", "--data", str(root), "--epochs", "1", "--device", "cpu", "--test", "none", "--limit", "8")
    for size, shape in (("16", [3, 16, 16]), ("12,16", [3, 12, 16])):
        code, out, err = run(*how, "--size", size, "--run-dir", f"run-{size}")
        assert code == 0, err
        assert json.loads(Path(f"run-{size}/config.json").read_text())["data"]["shape"] == shape
        assert "split 'test' not looked at" in out and "test accuracy" not in out
        report = json.loads(Path(f"run-{size}/report.json").read_text())
        assert report["test_accuracy"] is None and report["train_pictures"] + report["val_pictures"] == 8


def test_small_pictures_get_the_small_form_and_one_line_says_so(run: Run, image_folder: Make) -> None:
    root = image_folder(train=4, size=(32, 32))
    how = ("--data", str(root), "--epochs", "1", "--device", "cpu", "--test", "none", "--batch-size", "4")
    code, out, err = run("fit", "alexnet", *how, "--run-dir", "small")
    assert code == 0, err
    assert "form   stem=cifar, made for pictures of 32x32; --set stem=imagenet undoes it\n" in out
    assert json.loads(Path("small/config.json").read_text())["net"]["config"]["stem"] == "cifar"


def test_fit_evaluate_predict(run: Run, image_folder: Make) -> None:
    root = image_folder(train=40, test=10, size=(32, 32))
    settings = ("--epochs", "4", "--batch-size", "16", "--augment", "none", "--device", "cpu")
    code, out, err = run("fit", "convnet3", "--data", str(root), "--run-dir", "run", *settings)
    assert code == 0 and "test accuracy" in out and "epoch 4/4" in err
    report = json.loads(Path("run/report.json").read_text())
    assert report["test_accuracy"] > 0.9 and report["test_pictures"] == 20 and report["net"]["num_classes"] == 2
    assert {p.name for p in Path("run").iterdir()} == {
        "last.ckpt", "previous.ckpt", "best.ckpt", "metrics.csv", "config.json", "curves.png", "confusion.png", "grid.png",
        "predictions.csv", "report.json", "report.md", "report.html",
    }  # fmt: skip
    code, out, _ = run("evaluate", "run", "--data", str(root), "--confusion", "again.png")
    assert code == 0 and f"20 pictures: accuracy {report['test_accuracy']:.4f}" in out and Path("again.png").exists()
    code, out, _ = run("predict", "run", str(root / "test" / "dog"), "--csv", "out.csv", "--grid", "out.png")
    assert code == 0 and out == "10 predictions in out.csv\n" and Path("out.png").exists()
    assert Path("out.csv").read_text().splitlines()[0] == "id,predicted,p_cat,p_dog"
    code, out, _ = run("predict", "run", str(root / "test" / "dog" / "001.png"))
    assert out.startswith("001.png\tdog\t")
    code, out, _ = run("fit", "convnet3", "--data", str(root), "--run-dir", "run", *settings)
    assert code == 0 and "is complete; this is its report" in out
    code, _, err = run("fit", "lenet5", "--data", str(root), "--run-dir", "run", *settings)
    assert code == 2 and "expected the net of the run in run, convnet3; got lenet5" in err


def test_a_run_folder_is_named_after_net_and_data(run: Run, image_folder: Make) -> None:
    root = image_folder(size=(32, 32))
    assert run("fit", "convnet3", "--data", str(root), "--epochs", "1", "--device", "cpu")[0] == 0
    assert Path("runs/convnet3-pictures/report.json").exists()


def test_pictures_are_brought_to_what_the_net_takes(run: Run, image_folder: Make) -> None:
    root = image_folder(size=(40, 50))
    code, _, err = run("fit", "lenet5", "--data", str(root), "--epochs", "1", "--run-dir", "run", "--device", "cpu")
    assert code == 0, err
    assert json.loads(Path("run/config.json").read_text())["data"]["shape"] == [3, 32, 32]


MISTAKES = [
    (("fit", "lenet", "--data", "digits"), "build: expected the name of a net; got 'lenet'. Did you mean 'lenet5'?"),
    (("fit", "lenet5", "--data", "digit"), "load: expected a data set's name, a folder or a zip; got 'digit'. Did you"),
    (("fit", "lenet5", "--data", "no/where"), "load: expected an existing folder or zip; got 'no/where'. Check the path."),
    (("fit", "lenet5", "--data", "digits", "--epochs", "0"), "fit: expected epochs to be an integer of at least 1; got 0."),
    (("fit", "lenet5", "--data", "digits", "--lr", "-1"), "fit: expected lr to be a number of at least 0; got -1.0."),
    (("fit", "lenet5", "--data", "digits", "--batch-size", "0"), "fit: expected batch_size to be an integer of at least 1"),
    (("fit", "lenet5", "--data", "digits", "--set", "varint=wide"), "lenet5: expected an option that it has; got 'varint'. Did you mean 'variant'?"),
    (("fit", "lenet5", "--data", "digits", "--set", "wide"), "--set: expected KEY=VALUE; got 'wide'."),
    (("fit", "lenet5", "--data", "digits", "--set", "in_channels=3"), "expected 3-channel pictures for this net; got one-channel"),
    (("fit", "lenet5", "--data", "digits", "--classes", "3"), "fit: expected labels of at least two classes; got one class only."),
    (("fit", "lenet5", "--data", "digits", "--size", "x"), "--size: expected one or two whole numbers; got 'x'."),
    (("fit", "lenet5", "--data", "digits", "--val", "test"), "fit: expected a test split that is used for nothing else; got 'test'."),
    (("fit", "lenet5"), "Missing option '--data'."),
    (("fit", "lenet5", "--data", "digits", "--epoch", "3"), "No such option"),
    (("fit", "lenet5", "--data", "digits", "--epochs", "x"), "Invalid value for '--epochs'"),
    (("evaluate", "nowhere", "--data", "digits"), "smallnets: expected the folder of a run; got 'nowhere'. Check the path."),
    (("predict", ".", "x.png"), "expected the folder of a run; got no checkpoint in '.'."),
    (("show", "resnet5"), "build: expected the name of a net; got 'resnet5'. Did you mean 'resnet56'?"),
    (("show", "resnet18", "--set", "stem=cifr"), "resnet18: expected stem to be one of 'imagenet', 'cifar'; got 'cifr'. Did"),
    (("show", "resnet18", "--set", "name=resnet50"), "--set: expected an option of the net; got 'name=resnet50'. Its name is"),
    (("show", "resnet18", "--set", "num_classes=9" + 30 * "0"), "resnet18: expected sizes of which PyTorch can make tensors;"),
    (("show", "resnet18", "--input", "3,32"), "--input: expected C,H,W; got '3,32'."),
    (("show", "resnet18", "--input", "1,32,32"), "resnet18: expected an input of shape (N, 3, H, W); got (1, 1, 32, 32). Build"),
    (("show", "resnet18", "--input", "3,0,32"), "summarize: expected an input size of positive integers"),
    (("show", "resnet18", "--input", "3,99999999999,99999999999"), "summarize: expected sizes of which PyTorch can make"),
    (("show", "resnet18", "--batch-size", "0"), "summarize: expected batch_size to be an integer of at least 1; got 0."),
    (("list", "xyz*"), "list: expected a pattern that matches a net; got 'xyz*'."),
    (("lst",), "No such command 'lst'"),
    (("recipe", "run", "r4"), "recipe: expected the name of a recipe, or a .toml file; got 'r4'. "),
    (("recipe", "run", "r4-vgg16-three", "--data", "no/where"), "load: expected an existing folder or zip; got 'no/where'."),
    (("recipe", "run", "r8-lenet5-digits", "--set", "lrr=1"), "recipe r8-lenet5-digits: expected a setting of fit, of the data"),
    (("recipe", "run", "r8-lenet5-digits", "--epochs", "0"), "fit: expected epochs to be an integer of at least 1; got 0."),
    (("recipe", "run", "r8-lenet5-digits", "--seeds", "0"), "recipe: expected seeds to be an integer of at least 1; got 0."),
    (("recipe", "run", "r8-lenet5-digits", "--variant", "x"), "recipe r8-lenet5-digits: expected a recipe that has variants; got 'x'."),
    (("sweep", "r8-lenet5-digits", "--set", "lr"), "--set: expected KEY=A,B; got 'lr'."),
    (("sweep", "r8-lenet5-digits", "--set", "lr=1,,2"), "--set: expected KEY=A,B; got 'lr=1,,2'."),
    (("sweep", "r8-lenet5-digits"), "Missing option '--set'."),
    (("compare", "nowhere"), "compare: expected the folder of a run; got 'nowhere'."),
    (("recipe", "run", "r8-lenet5-digits", "--json", "no/x.json"), "smallnets: expected to write no/x.json; got No such file"),
    (("recipe", "run", "r8-lenet5-digits", "--json", "."), "smallnets: expected "),
    (("sweep", "r8-lenet5-digits", "--set", "lr=1,2", "--png", "/dev/null/x"), "smallnets: expected to write /dev/null/x; got Not a"),
    (("sweep", "r8-lenet5-digits", "--set", "lr=1,2", "--csv", "no/x.csv"), "smallnets: expected to write no/x.csv; got No such"),
    (("sweep", "r8-lenet5-digits", "--set", "lr=1,2", "--png", "x.xyz"), "plots: expected the suffix of a picture's file to be one"),
    (("compare", "x", "--csv", "-"), "smallnets: expected the path of a file; got '-'. Only --json takes - for stdout."),
    (("show", "resnet18", "--set", "stem=cifar", "--set", "stem=imagenet"), "--set: expected each option once; got 'stem=imagenet'."),
    (("list", "--json", ""), "smallnets: expected path to be a file; got '.'."),
    (("show", "resnet18", "--html", "no/x.html"), "smallnets: expected to write no/x.html; got No such file"),
    (("recipe", "run", "r8-lenet5-digits", "--seed", str(2**64)), "fit: expected seed to be an integer below 2**64; got 1844"),
    (("fit", "lenet5", "--data", "digits", "--limit", "0"), "fit: expected limit to be an integer of at least 1; got 0."),
    (("fit", "lenet5", "--data", "digits", "--limit", "12"), "fit: expected a limit of at least two pictures for each of the 10"),
    (("fit", "lenet5", "--data", "digits", "--test", "tset"), "expected a split 'tset' in digits to test on; got none."),
    (("fit", "lenet5", "--data", ".", "--test", "tset"), "expected a split 'tset' in . to test on; got none."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "text"), MISTAKES, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, arguments: tuple[str, ...], text: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and text in err
    assert err.startswith("smallnets: ") and err.count("\n") == 1 and "Traceback" not in err
    assert not Path("runs").exists() or not any(Path("runs").rglob("*.ckpt"))


def test_nothing_asked_is_answered_with_the_help(run: Run) -> None:
    code, out, err = run()
    assert code == 2 and "Usage" in out and not err


def test_debug_shows_the_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smallnets", "fit", "lenet", "--data", "digits", "--debug"],
        capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" in done.stderr and "Did you mean 'lenet5'?" in done.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first that needs a trained net leaves it for the others."""
    return tmp_path_factory.mktemp("trained") / "all"


@pytest.fixture
def trained(run: Run, image_folder: Make, tmp_path: Path, kept: Path) -> Path:
    """An image folder, and in "run" a net that was trained on it."""
    if kept.exists():
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        return tmp_path / "pictures"
    root = image_folder(size=(32, 32))
    assert run("fit", "convnet3", "--data", str(root), "--epochs", "1", "--run-dir", "run", "--device", "cpu")[0] == 0
    shutil.copytree(tmp_path, kept)
    return root


def test_evaluating_needs_no_training_split(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run knows its mean and std."""
    before = run("evaluate", "run", "--data", str(trained))
    shutil.rmtree(trained / "train")
    statistics.FACTS_OF.clear()
    monkeypatch.setattr(image_files, "channel_stats", None)
    assert run("evaluate", "run", "--data", str(trained)) == before and before[0] == 0


def test_predicting_holds_a_batch_at_a_time(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (10, 9):  # sorted by number, not by letter
        shutil.copy(trained / "train" / "cat" / "000.png", trained / "test" / "dog" / f"0{number}.png")
    monkeypatch.setattr(decoding, "decode_all", None)  # what would read all pictures at once
    sizes: list[int] = []
    held: list[int] = []
    forward, in_memory = sn.ConvNet3.forward, report.in_memory
    monkeypatch.setattr(sn.ConvNet3, "forward", lambda self, x: sizes.append(len(x)) or forward(self, x))
    monkeypatch.setattr(report, "in_memory", lambda pictures: held.append(len(pictures)) or in_memory(pictures))
    monkeypatch.setattr(report, "GRID", 3)
    options = ("--csv", "out.csv", "--grid", "out.png", "--batch-size", "5", "--device", "cpu")
    assert run("predict", "run", str(trained / "test"), *options)[0] == 0
    assert held == [3] == sizes[-1:] and sizes[-4:-1] == [5, 5, 4]  # in front, what measures the ways to run
    assert max(sizes) == 5
    ids = [line.split(",")[0] for line in Path("out.csv").read_text().splitlines()]
    dogs = [f"dog/{number:03d}.png" for number in range(6)] + ["dog/09.png", "dog/010.png"]
    assert ids == ["id", *(f"cat/{number:03d}.png" for number in range(6)), *dogs]


def test_a_submission_has_the_columns_that_are_asked_for(run: Run, trained: Path) -> None:
    images = str(trained / "test")
    assert run("predict", "run", images, "--csv", "all.csv", "--device", "cpu")[0] == 0
    assert run("predict", "run", images, "--csv", "out.csv", "--columns", "id,dog", "--device", "cpu")[0] == 0
    whole = [line.split(",") for line in Path("all.csv").read_text().splitlines()]
    assert Path("out.csv").read_text().splitlines() == ["id,dog", *(f"{row[0]},{row[3]}" for row in whole[1:])]
    code, _, err = run("predict", "run", images, "--csv", "no.csv", "--columns", "id,dgo")
    assert (
        code == 2 and "--columns: expected every column to be one of 'id', 'predicted', 'cat', 'dog'; got 'dgo'." in err
    )
    code, out, _ = run("evaluate", "run", "--data", str(trained), "--json", "-", "--device", "cpu")
    assert code == 0 and json.loads(out)["n"] == 12 and len(json.loads(out)["confusion"]) == 2


def test_predictions_as_json(run: Run, trained: Path) -> None:
    asked = ("predict", "run", str(trained / "test" / "dog"), "--device", "cpu")
    code, out, _ = run(*asked, "--json", "-")
    found = json.loads(out)
    assert code == 0 and [row["id"] for row in found] == [f"{number:03d}.png" for number in range(6)]
    first = found[0]["probabilities"]
    assert list(first) == ["cat", "dog"] and sum(first.values()) == pytest.approx(1, abs=1e-5)
    assert found[0]["predicted"] == max(first, key=first.__getitem__)
    assert run(*asked, "--json", "p.json")[1] == "6 predictions in p.json\n"
    assert json.loads(Path("p.json").read_text()) == found
    assert run(*asked, "--json", "p.json", "--csv", "p.csv")[0] == 2 and not Path("p.csv").exists()


def test_several_pictures_and_folders(run: Run, trained: Path) -> None:
    dog, cat = trained / "test" / "dog", trained / "test" / "cat"
    asked = ("predict", "run", str(dog / "003.png"), str(cat), str(cat / "001.png"), str(dog / "001.png"))
    code, out, err = run(*asked, "--device", "cpu")
    assert code == 0, err
    cats = [f"cat/{number:03d}.png" for number in range(6)]
    assert [line.split("\t")[0] for line in out.splitlines()] == [*cats, "dog/001.png", "dog/003.png"]
    shutil.make_archive("all", "zip", trained)
    code, out, err = run(*asked, "all.zip")
    assert code == 2 and "predict: expected several pictures or folders; got the zip " in err and err.count("\n") == 1
    code, out, err = run(*asked, "nowhere.png")
    assert code == 2 and "expected an existing picture, folder or zip; got 'nowhere.png'" in err


def test_of_several_processes_one_predicts(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "current_group", lambda device: Group(1, 2))
    assert run("predict", "run", str(trained / "test"), "--csv", "out.csv") == (0, "", "")
    assert not Path("out.csv").exists()


def test_a_broken_picture_leaves_no_half_written_file(run: Run, trained: Path) -> None:
    (trained / "test" / "dog" / "003.png").write_bytes(b"no picture")
    how = ("--csv", "out.csv", "--batch-size", "4", "--on-error", "raise")
    code, out, err = run("predict", "run", str(trained / "test"), *how)
    assert code == 2 and out == "" and not list(Path().glob("*out.csv*"))
    assert err.splitlines()[-1].endswith("dog/003.png: not a picture. Mend or remove it.") and "Traceback" not in err


def test_a_set_is_downloaded_by_the_leader_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(splits, "load", lambda *arguments, **_: asked.append(" ".join(arguments)))
    monkeypatch.setattr(Group, "wait", lambda group: asked.append(f"{group.rank} waits"))
    for rank in (0, 1):
        loading = splits.download_once("mnist", {"download": True, "root": None}, Group(rank, 2))
        assert loading == {"download": False, "root": None}
    assert asked == ["mnist train", "0 waits", "1 waits"]
    asked.clear()
    for download, world in ((True, 1), (False, 2)):  # alone it is done by loading; and nothing may be fetched
        assert splits.download_once("mnist", {"download": download}, Group(0, world)) == {"download": download}
    assert not asked


def test_every_command_that_loads_asks_who_downloads(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(source: str, loading: dict[str, object], group: Group) -> dict[str, object]:
        raise sn.DataError(f"{source}, {loading['download']}, {group.world}")

    for room in (experiment, splits):
        monkeypatch.setattr(room, "download_once", ask)
    for command in (("fit", "lenet5"), ("evaluate", "run")):
        assert run(*command, "--data", "mnist", "--download")[2] == "smallnets: mnist, True, 1\n"


def test_fit_starts_from_weights_and_holds_a_part(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    command = ("fit", "lenet5", "--data", "digits", "--classes", "7,8,9", "--epochs", "1", "--run-dir", "r")
    start = ("--weights", "digits", "--freeze", "features")
    code, out, _ = run(*command, *start)
    assert code == 0 and "classifier.4 starts afresh with 3 classes" in caplog.text and "test accuracy" in out
    ours, theirs = sn.load("r").state_dict(), sn.lenet5(weights="digits").state_dict()
    assert all(ours[name].equal(value) for name, value in theirs.items() if name.startswith("features"))
    assert not ours["classifier.0.weight"].equal(theirs["classifier.0.weight"])  # behind the line it learned
    told = json.loads(Path("r/report.json").read_text())
    assert (told["weights"], told["frozen"]) == ("digits", "features")
    assert "| started from | digits |" in Path("r/report.md").read_text()
    assert "training took" in run(*command, *start)[1]  # complete, and told again
    assert run(*command)[::2] == (
        2,
        "smallnets: fit: expected --weights digits, as the run in r had it; got none. "
        "Give another run its own --run-dir.\n",
    )


def test_an_interrupted_run_goes_on_from_its_own_start_only(run: Run) -> None:
    command = ("fit", "lenet5", "--data", "digits", "--limit", "60", "--epochs", "1", "--run-dir", "r")
    start = ("--weights", "digits", "--freeze", "features")
    assert run(*command, *start)[0] == 0
    Path("r/report.json").unlink()  # as of a run that was stopped on its way
    assert json.loads(Path("r/config.json").read_text())["start"] == {"weights": "digits", "frozen": "features"}
    for other, expected in (((), "--weights digits"), (("--weights", "digits"), "--freeze features")):
        code, _, err = run(*command, *other)
        assert code == 2 and f"expected {expected}, as the run in r had it; got none." in err
    assert run(*command, *start)[0] == 0
    assert json.loads(Path("r/config.json").read_text())["start"] == {"weights": "digits", "frozen": "features"}
    plain = ("fit", "lenet5", "--data", "digits", "--limit", "60", "--epochs", "1", "--run-dir", "p")
    assert run(*plain)[0] == 0 and "start" not in json.loads(Path("p/config.json").read_text())
    Path("p/report.json").unlink()
    assert run(*plain, "--weights", "digits")[0] == 2
    Path("p/config.json").write_text("{")  # nobody can tell: it goes on, and writes it anew
    assert run(*plain)[0] == 0 and json.loads(Path("p/config.json").read_text())["parameters"] == 61_706


def test_fit_goes_on_from_the_file_of_another_run(run: Run) -> None:
    seven = ("fit", "lenet5", "--data", "digits", "--classes", "0,1,2,3,4,5,6", "--epochs", "1", "--limit", "70")
    assert run(*seven, "--run-dir", "a")[0] == 0
    code, _, err = run(*seven, "--run-dir", "b", "--weights", "a/best.ckpt", "--freeze", "classifier.2")
    assert code == 0, err
    ours, theirs = sn.load("b").state_dict(), sn.load("a/best.ckpt").state_dict()
    assert ours["classifier.2.weight"].equal(theirs["classifier.2.weight"])
    code, _, err = run(*seven, "--run-dir", "c", "--freeze", "layer9")
    assert code == 2 and "The stages are features.2, features.5." in err and not Path("c").exists()
    code, _, err = run(*seven, "--run-dir", "c", "--weights", "none.pt")
    assert code == 2 and err.count("\n") == 1 and "none.pt" in err


def test_a_result_may_lie_in_the_folder_that_the_run_makes(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "run"
    code, _, err = run(
        *("recipe", "run", "r8-lenet5-digits", "--epochs", "1", "--limit", "100", "--device", "cpu"),
        *("--run-dir", str(place), "--json", str(place / "result.json")),
    )
    assert code == 0, err
    assert json.loads((place / "result.json").read_text())[0]["epochs"] == 1
