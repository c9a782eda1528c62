"""Recipes that run: folders, seeds, variants, sweeps that go on, starts from shallower nets, tests that are left out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.experiments import experiment as room

Make = Callable[..., Path]
TINY = """
title = "Two blots"
system = "R0"
source = "A report"
net = "convnet3"
options = { channels = [4, 4, 4], hidden = [8], input_size = 16 }
ways = [{ tta = "flip" }]
[data]
validation = 0.25
[fit]
epochs = 2
batch_size = 8
lr = 1e-2
[reported]
test_accuracy = 0.5
note = "somewhere"
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str = TINY) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(text)
        return path

    return write


def quietly(recipe: Any, data: Path, place: Path, **more: Any) -> sn.Comparison:
    return sn.run_recipe(recipe, data, place, device="cpu", progress=False, **more)


def test_a_run_leaves_its_page(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    said: list[str] = []
    found = quietly(tiny(), image_folder(), tmp_path / "run", say=said.append)
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert found.to_dict()[0]["test_accuracy"] == report["test_accuracy"]
    assert report["train_pictures"] == 30 and report["val_pictures"] == 10 and report["test_pictures"] == 12
    assert report["ways"] == [{"tta": "flip"}] and len(report["ways_accuracy"]) == 1 and report["recipe"] == "tiny"
    page = (tmp_path / "run/report.md").read_text()
    assert page.startswith("# Two blots\n") and "System R0. A report" in page and "| flip |" in page
    assert f"| test accuracy | 0.5000 | {report['test_accuracy']:.4f} |" in page and "![" in page
    whole = (tmp_path / "run/report.html").read_text()
    assert whole.count("data:image/png;base64,") == 3 and "http" not in whole and 'src="grid' not in whole
    assert any("looked at once" in line for line in said) and any("reported        0.5000" in line for line in said)
    rows = (tmp_path / "run/predictions.csv").read_text().splitlines()
    assert rows[0] == "id,predicted,true,p_cat,p_dog" and len(rows) == 13
    assert all(f"/{row.split(',')[2]}/" in f"/{row}" for row in rows[1:])


def test_a_recipe_of_ones_own_has_no_column_of_what_was_reported(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    ours = TINY.replace('system = "R0"\nsource = "A report"\n', "").partition("[reported]")[0]
    quietly(tiny(ours), image_folder(), tmp_path / "run")
    accuracy = json.loads((tmp_path / "run/report.json").read_text())["test_accuracy"]
    page = (tmp_path / "run/report.md").read_text()
    assert "A recipe of ours." in page and "reported" not in page and f"| test accuracy | {accuracy:.4f} |" in page


def test_a_watched_test_split_is_said_to_be(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    text = TINY.replace("validation = 0.25", 'validation = 0\ntest = "every epoch"')
    said: list[str] = []
    quietly(tiny(text), image_folder(), tmp_path / "run", say=said.append)
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["watched"] and report["train_pictures"] == 40 and report["val_accuracy"] == report["test_accuracy"]
    assert "looked at every epoch, as in the report" in (tmp_path / "run/report.md").read_text()
    assert any("nothing held out, split 'test' looked at every epoch" in line for line in said)
    assert not any(line.startswith("validation") for line in said)


def test_a_test_that_is_left_out(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    found = quietly(tiny(TINY.replace("[fit]", 'test = "none"\n[fit]')), image_folder(), tmp_path / "run")
    assert found.to_dict()[0]["test_accuracy"] is None and not (tmp_path / "run/predictions.csv").exists()
    assert json.loads((tmp_path / "run/report.json").read_text())["test_pictures"] == 0


def test_seeds_and_a_limit(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    found = quietly(tiny(), image_folder(), tmp_path / "run", seeds=2, epochs=1, limit=20)
    assert found.to_dict()[0]["runs"] == 2 and found.to_dict()[0]["epochs"] == 1
    reports = [json.loads((tmp_path / f"run/seed-{seed}/report.json").read_text()) for seed in (0, 1)]
    assert [report["seed"] for report in reports] == [0, 1]
    assert [report["train_pictures"] + report["val_pictures"] for report in reports] == [20, 20]
    assert (tmp_path / "run/comparison.png").exists() and "# Two blots" in (tmp_path / "run/report.md").read_text()


def test_a_sweep_that_is_killed_goes_on(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, trained = image_folder(), list[str]()
    fit = room.fit

    def counted(*arguments: Any, **keywords: Any) -> sn.History:
        folder = Path(keywords["options"].run_dir)
        before = (folder / "metrics.csv").exists()
        trained.append(f"{folder.name} {before}")
        if len(trained) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **keywords)

    monkeypatch.setattr(room, "fit", counted)
    asked: dict[str, Any] = {"batch_size": [8, 10], "augment": ["none", "crop"]}
    how: dict[str, Any] = {"epochs": 1, "device": "cpu", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        sn.sweep(tiny(), asked, data, tmp_path / "sweep", **how)
    first = tmp_path / "sweep" / "batch_size=8-augment=none" / "last.ckpt"
    kept = first.read_bytes()
    found = sn.sweep(tiny(), asked, data, tmp_path / "sweep", **how)
    assert len(found) == 4 and first.read_bytes() == kept
    assert [line.split()[1] for line in trained] == ["False", "False", *["False"] * 3]  # the first was not begun again


def test_a_failed_run_does_not_stop_the_others(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    said: list[str] = []
    text = TINY.replace("[fit]", '[variants]\nwild = { lr = 1e30, optimizer = "sgd" }\ntame = {}\n[fit]')
    found = quietly(
        tiny(text.replace("[data]\nvalidation = 0.25\n", "")), image_folder(), tmp_path / "run", say=said.append
    )
    assert "tame" in [line.label for line in found]
    assert any(line.startswith("this run failed: fit: expected finite numbers") for line in said)
    with pytest.raises(sn.RunError, match="finite numbers"):
        quietly(sn.recipe(tiny()).changed({"lr": 1e30, "optimizer": "sgd"}), image_folder(name="b"), tmp_path / "alone")


def test_variants_are_checked_before_the_first_runs(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    with pytest.raises(sn.OptionError, match="expected a setting of fit, of the data or of convnet3; got 'lrr'"):
        sn.sweep(tiny(), {"lrr": [1]}, image_folder(), tmp_path / "sweep")
    with pytest.raises(sn.OptionError, match="kernel_size"):
        sn.sweep(tiny(), {"kernel_size": [5, 4]}, image_folder(name="b"), tmp_path / "sweep", device="cpu")
    with pytest.raises(sn.OptionError, match="sweep: expected values for lr; got none"):
        sn.sweep(tiny(), {"lr": []}, image_folder(name="c"), tmp_path / "sweep")
    with pytest.raises(sn.OptionError, match="every variant to be one of"):
        quietly("r7-findings", image_folder(name="d"), tmp_path / "sweep", variants=["batch 31"])
    assert not (tmp_path / "sweep").exists()


def test_a_deep_net_starts_from_a_shallower_one(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shallow = tiny(
        'title = "Shallow"\nnet = "vgg"\noptions = { cfg = [4, "M", 8, "M"], head = "linear" }\n'
        '[data]\nvalidation = 0\ntest = "none"\n[fit]\nepochs = 1\n'
    )
    deep = tmp_path / "deep.toml"
    deep.write_text(
        f'title = "Deep"\nnet = "vgg"\noptions = {{ cfg = [4, 4, "M", 8, 8, "M"], head = "linear" }}\nstart = "{shallow}"\n'
        '[data]\nvalidation = 0\ntest = "none"\n[fit]\nepochs = 1\n'
    )
    begun: list[torch.Tensor] = []
    fit = room.fit
    monkeypatch.setattr(
        room, "fit", lambda net, *a, **k: begun.append(net.features[0].weight.clone()) or fit(net, *a, **k)
    )
    quietly(deep, image_folder(), tmp_path / "run")
    trained = torch.load(tmp_path / "run/start/last.ckpt", weights_only=True)["model"]["features.0.weight"]
    assert torch.equal(begun[1], trained) and not torch.equal(begun[0], trained)
    assert not (tmp_path / "run/comparison.csv").exists()  # it is one run, and its start


def test_what_is_held_out_is_cropped_and_what_is_trained_on_is_not(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    fit, evaluate = room.fit, room.evaluate
    monkeypatch.setattr(
        room, "fit", lambda net, train, val, **k: seen.extend((train, val)) or fit(net, train, val, **k)
    )
    monkeypatch.setattr(room, "evaluate", lambda net, test, **k: seen.append(test) or evaluate(net, test, **k))
    text = TINY.replace("[data]", "[data]\nsize = 16\ncrop = 0.5")
    data = image_folder(size=(32, 32))
    quietly(tiny(text), data, tmp_path / "run")
    train, val, test = seen[:3]
    assert not set(train.ids) & set(val.ids) and len(train) == 30 and len(val) == 10
    for part, split, crop in ((train, "train", 1.0), (val, "train", 0.5), (test, "test", 0.5)):
        whole = sn.data.load(data, split, size=16, crop=crop)
        rows = [whole.ids.index(name) for name in part.ids]
        assert torch.equal(part.images, whole.images[rows])


def test_a_complete_run_is_told_again_only_as_what_it_was(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    data, place = image_folder(), tmp_path / "run"
    quietly(tiny(), data, place, epochs=1)
    first = (place / "report.json").read_bytes()
    asked: tuple[dict[str, Any], ...] = (
        {"validation": 0.5},
        {"size": 20},
        {"hidden": [9]},
        {"weights": "w.safetensors"},
        {"crop": 0.5},
        {"lr": 0.5},
    )
    for changes in asked:
        with pytest.raises((sn.RunError, sn.OptionError), match=r"expected|the run in"):
            quietly(tiny(), data, place, epochs=1, changes=changes)
        assert (place / "report.json").read_bytes() == first, changes
    said: list[str] = []
    untested = tiny(TINY.replace("[data]", '[data]\ntest = "none"'))
    quietly(untested, data, tmp_path / "other", epochs=1)
    found = quietly(untested, data, tmp_path / "other", epochs=1, changes={"test": "once"}, say=said.append)
    assert found.to_dict()[0]["test_accuracy"] is not None and not any("is complete" in line for line in said)
    quietly(untested, data, tmp_path / "other", epochs=1, changes={"test": "once"}, say=said.append)
    assert any("is complete" in line for line in said)


@pytest.mark.parametrize("lost", ["report.json", "config.json", "metrics.csv"])
def test_what_is_lost_of_a_complete_run_is_written_anew(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], lost: str
) -> None:
    data, place = image_folder(), tmp_path / "run"
    quietly(tiny(), data, place, epochs=1)
    before = sorted(path.name for path in place.iterdir())
    for damage in (Path.unlink, lambda path: path.write_text("{}" if path.suffix == ".json" else "")):
        damage(place / lost)
        assert quietly(tiny(), data, place, epochs=1).to_dict()[0]["test_accuracy"] is not None
        assert sorted(path.name for path in place.iterdir()) == before and (place / lost).stat().st_size > 100


def test_a_report_that_was_not_finished_is_written_again(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from smallnets.experiments import report

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    data, place = image_folder(), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(report, "write_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quietly(tiny(), data, place, epochs=1)
    quietly(tiny(), data, place, epochs=1)
    assert all((place / name).exists() for name in ("report.md", "report.html", "report.json", "predictions.csv"))


def test_runs_that_all_fail_are_no_result(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    data, place = image_folder(), tmp_path / "run"
    quietly(tiny(), data, place, epochs=1, seeds=2)
    with pytest.raises(sn.RunError, match=r"the settings of the run in .*; got lr 0.01 -> 0.5"):
        quietly(tiny(), data, place, epochs=1, seeds=2, changes={"lr": 0.5})
    found = quietly(tiny(), data, place, epochs=1, seeds=3, changes={"lr": 0.5})
    assert len(found.failed) == 2 and "lr 0.01 -> 0.5" in found.failed[0]
    assert quietly(tiny(), data, place, epochs=2, seeds=2, changes={"lr": 0.02}, resume="changed").failed == ()


def test_one_run_and_several_do_not_share_a_folder(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    data = image_folder()
    quietly(tiny(), data, tmp_path / "one", epochs=1)
    with pytest.raises(sn.RunError, match=r"a folder of runs; got that of one run, .*one"):
        quietly(tiny(), data, tmp_path / "one", epochs=1, seeds=2)
    assert not (tmp_path / "one/seed-0").exists()
    quietly(tiny(), data, tmp_path / "many", epochs=1, seeds=2)
    with pytest.raises(sn.RunError, match=r"the folder of one run; got one of several, .*seed-0"):
        quietly(tiny(), data, tmp_path / "many", epochs=1)
    assert not (tmp_path / "many/metrics.csv").exists()


def test_files_of_others_are_not_written_over(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    data, place = image_folder(), tmp_path / "mine"
    place.mkdir()
    for name, text in (("config.json", '{"debug": true}'), ("metrics.csv", "a,b\n"), ("report.md", "My thesis")):
        (place / name).write_text(text)
    with pytest.raises(
        sn.RunError, match=r"the folder of a run; got other files in .*: config.json, metrics.csv, report"
    ):
        quietly(tiny(), data, place, epochs=1)
    pictures = (torch.randn(8, 1, 32, 32), torch.arange(8) % 10)
    with pytest.raises(sn.RunError, match="Take another folder, or move them away"):
        sn.fit(sn.lenet5(), pictures, epochs=1, run_dir=place, progress=False)
    assert (place / "report.md").read_text() == "My thesis" and (place / "config.json").read_text() == '{"debug": true}'


@pytest.mark.parametrize("name", ["seed", "run_dir", "device", "progress"])
def test_what_is_said_of_a_run_is_no_setting_of_a_recipe(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], name: str
) -> None:
    with pytest.raises(sn.OptionError, match=f"expected settings of a recipe; got '{name}'. Say it by {name}="):
        sn.sweep(tiny(), {name: [1, 2]}, image_folder(), tmp_path / "sweep")
    with pytest.raises(sn.OptionError, match=f"expected settings of a recipe; got '{name}'"):
        sn.recipe(tiny(TINY.replace("[fit]", f"[fit]\n{name} = 3")))


def test_epochs_are_said_once(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    with pytest.raises(sn.OptionError, match=r"epochs once; got 1 and \[1, 2\]"):
        sn.sweep(tiny(), {"epochs": [1, 2]}, image_folder(), tmp_path / "sweep", epochs=1)
    with pytest.raises(sn.OptionError, match="epochs once; got 1 and 2"):
        quietly(tiny(), "x", tmp_path / "run", epochs=1, changes={"epochs": 2})
    wrong: Any = {"lr": 0.1}
    with pytest.raises(sn.OptionError, match=r"a list of values for lr; got 0\.1"):
        sn.sweep(tiny(), wrong, "x", tmp_path / "sweep")
    with pytest.raises(sn.OptionError, match="variants to run, or None for all; got none"):
        quietly("r7-findings", "x", tmp_path / "run", variants=[])


def test_files_of_others_around_several_runs_are_not_written_over(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    data, place = image_folder(), tmp_path / "mine"
    place.mkdir()
    for name in ("report.md", "comparison.png", "comparison.csv"):
        (place / name).write_text("My thesis")
        with pytest.raises(
            sn.RunError, match=f"the folder of several runs; got other files in .*: {name}. Take another"
        ):
            quietly(tiny(), data, place, epochs=1, seeds=2)
        assert (place / name).read_text() == "My thesis" and len(list(place.iterdir())) == 1
        (place / name).unlink()
    for _ in range(2):  # its own it may write again
        quietly(tiny(), data, place, epochs=1, seeds=2)
    (tmp_path / "one").mkdir()
    (tmp_path / "one/curves.png").write_text("My curves")
    with pytest.raises(sn.RunError, match=r"other files in .*: curves\.png"):
        quietly(tiny(), data, tmp_path / "one", epochs=1)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "every variant to have a name; got ''"),
        ("seed 3", "another name of a variant; got 'seed 3'"),
        ("Comparison.csv", "another name of a variant; got 'Comparison.csv'"),
        ("start", "another name of a variant; got 'start'"),
        ("long " * 60, "names of variants of at most 200 letters; got 'long long"),
    ],
)
def test_a_variant_whose_folder_would_be_another_thing(tiny: Callable[..., Path], name: str, told: str) -> None:
    with pytest.raises(sn.OptionError, match=told):
        sn.recipe(tiny(TINY.replace("[fit]", f'[variants]\n"{name}" = {{}}\n[fit]')))


def test_the_table_is_on_the_runs_that_were_asked_for(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    data, place = image_folder(), tmp_path / "run"
    quietly(tiny(), data, place, epochs=1, seeds=3)
    found = quietly(tiny(), data, place, epochs=2, seeds=2, resume="changed")
    assert (found.to_dict()[0]["runs"], found.to_dict()[0]["epochs"], found.notes) == (2, 2, [])
    assert sn.compare(place).notes == ["run: runs of 1 to 2 epochs."]
    again = tmp_path / "again"
    sn.sweep(tiny(), {"lr": [0.01, 0.02]}, data, again, epochs=1, device="cpu", progress=False)
    second = sn.sweep(tiny(), {"lr": [0.04]}, data, again, epochs=1, device="cpu", progress=False)
    assert [line.label for line in second] == ["lr=0.04"] and len(sn.compare(again)) == 3


def test_a_change_that_a_variant_would_undo(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    data = image_folder()
    text = tiny(TINY.replace("[fit]", "[variants]\na = { lr = 0.001, hidden = [4] }\nb = {}\n[fit]"))
    with pytest.raises(sn.OptionError, match=r"settings that variant 'a' leaves alone; got lr, which is 0\.001 there"):
        quietly(text, data, tmp_path / "run", changes={"lr": 0.5})
    assert not (tmp_path / "run").exists()
    quietly(text, data, tmp_path / "run", changes={"lr": 0.5}, variants=["b"], epochs=1)
    assert json.loads((tmp_path / "run/b/config.json").read_text())["options"]["lr"] == 0.5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mean": 0.5, "std": 0.5}, "mean to be a list of numbers, one a channel; got 0.5"),
        ({"mean": [0.5], "std": "ab"}, "std to be a list of numbers, one a channel; got 'ab'"),
        ({"after": "x"}, "after to be an integer of at least 0; got 'x'"),
        ({"after": -1}, "after to be an integer of at least 0; got -1"),
        ({"start": 3}, "start"),
    ],
)
def test_wrong_changes_are_told(tmp_path: Path, tiny: Callable[..., Path], changes: dict[str, Any], told: str) -> None:
    with pytest.raises(sn.OptionError, match=told):
        sn.recipe(tiny()).changed(changes)
    with pytest.raises(sn.OptionError, match=told):
        sn.sweep(tiny(), {name: [value] for name, value in changes.items()}, "x", tmp_path / "sweep")


def test_a_setting_that_only_the_pictures_refuse_stops_its_own_run(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    found = sn.sweep(
        tiny(), {"validation": [0.999, 0.25]}, image_folder(), tmp_path / "s", epochs=1, device="cpu", progress=False
    )
    assert [line.label for line in found] == ["validation=0.25"] and (tmp_path / "s/comparison.csv").exists()
    assert len(found.failed) == 1 and "validation=0.999" in found.failed[0] and "fraction" in found.failed[0]


def test_a_start_that_no_net_can_grow_from_is_told_before_it_is_trained(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]
) -> None:
    text = TINY.replace("[data]", 'start = "r3-vgg-testing"\n[data]')
    with pytest.raises(sn.OptionError, match="two VGGs, one to grow from the other; got a ConvNet3"):
        quietly(tiny(text), image_folder(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_pictures_are_said_once(tmp_path: Path, image_folder: Make, tiny: Callable[..., Path]) -> None:
    with pytest.raises(sn.OptionError, match=r"settings of a recipe; got 'source'. Say it by data=: --data"):
        sn.sweep(tiny(), {"source": ["a", "b"]}, image_folder(), tmp_path / "sweep")
    with pytest.raises(sn.OptionError, match="got 'source'"):
        sn.recipe(tiny(TINY.replace("[fit]", '[variants.x]\nsource = "other"\n[fit]')))


def chained(tmp_path: Path) -> list[Path]:
    """Recipes of VGGs, each from the one before."""
    paths = [tmp_path / f"{name}.toml" for name in ("shallow", "deep", "deeper")]
    for number, path in enumerate(paths):
        start = "" if number == 0 else f'start = "{paths[number - 1]}"\n'
        cfg = f'[{", ".join(["4"] * (number + 1))}, "M", 8, "M"]'
        path.write_text(
            f'title = "VGG"\nnet = "vgg"\noptions = {{ cfg = {cfg}, head = "linear" }}\n{start}'
            '[data]\nvalidation = 0\ntest = "none"\n[fit]\nepochs = 1\n'
        )
    return paths


def test_a_start_may_have_a_start_but_not_itself(tmp_path: Path, image_folder: Make) -> None:
    shallow, _, deeper = chained(tmp_path)
    found = quietly(deeper, image_folder(), tmp_path / "run")
    assert len(found) == 1 and (tmp_path / "run/start/start/last.ckpt").exists()
    shallow.write_text(f'start = "{deeper}"\n' + shallow.read_text())
    with pytest.raises(sn.OptionError, match=r"a start that leads to an end; got .*deeper\.toml again"):
        quietly(deeper, tmp_path / "data", tmp_path / "other")


def test_a_run_is_not_taken_for_one_of_another_start(tmp_path: Path, image_folder: Make) -> None:
    _, deep, _ = chained(tmp_path)
    data = image_folder()
    quietly(deep, data, tmp_path / "grown")
    before = (tmp_path / "grown/report.json").read_bytes()
    with pytest.raises(sn.OptionError, match=r"start a shallower net, as the run in .*grown had it; got none"):
        quietly(deep, data, tmp_path / "grown", changes={"start": ""})
    assert (tmp_path / "grown/report.json").read_bytes() == before
    quietly(deep, data, tmp_path / "random", changes={"start": ""})
    with pytest.raises(sn.OptionError, match=r"no start, as the run in .*; got a shallower net"):
        quietly(deep, data, tmp_path / "random")


def test_a_start_that_fails_fails_its_net(tmp_path: Path, image_folder: Make) -> None:
    shallow, deep, _ = chained(tmp_path)
    data = image_folder()
    quietly(shallow, data, tmp_path / "run/start")
    shallow.write_text(shallow.read_text() + "lr = 0.02\n")
    with pytest.raises(sn.RunError, match="the settings of the run in"):
        quietly(deep, data, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["start"]


def test_several_runs_in_the_folder_of_one(
    tmp_path: Path, image_folder: Make, tiny: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_folder()
    quietly(tiny(), data, tmp_path / "one", epochs=1)
    monkeypatch.chdir(tmp_path / "one")
    with pytest.raises(sn.RunError, match="a folder of runs; got that of one run"):
        quietly(tiny(), data, Path(), epochs=1, seeds=2)
    quietly(tiny(), data, tmp_path / "many", epochs=1, seeds=2)
    (tmp_path / "many/comparison.csv").unlink()
    quietly(tiny(), data, tmp_path / "many", epochs=1, seeds=2)
    (tmp_path / "more/seed-1").mkdir(parents=True)
    (tmp_path / "more/seed-1/report.md").write_text("My thesis")
    with pytest.raises(sn.RunError, match=r"other files in .*seed-1: report\.md"):
        quietly(tiny(), data, tmp_path / "more", epochs=1, seeds=2)
    assert not (tmp_path / "more/seed-0").exists()


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"seed": "0"}, "seed to be an integer"),
        ({"data": 5}, "data to be"),
        ({"root": 5}, "root to be a path"),
        ({"changes": [("lr", 1)]}, "changes as a dict of settings"),
        ({"foo": 1}, "an option of run_recipe; got 'foo'"),
    ],
)
def test_wrong_keywords_are_told(tmp_path: Path, tiny: Callable[..., Path], keywords: Any, told: str) -> None:
    with pytest.raises(sn.OptionError, match=told):
        sn.sweep(tiny(), {"lr": [0.1]}, run_dir=tmp_path / "sweep", **keywords)


def test_settings_and_variants_of_other_kinds(tiny: Callable[..., Path]) -> None:
    wrong: Any = [("lr", [1])]
    with pytest.raises(sn.OptionError, match="a dict of values by setting"):
        sn.sweep(tiny(), wrong)
    for variants in (["a"], {1: {}}, {"a": 3}):
        with pytest.raises(sn.OptionError, match="variant"):
            sn.recipe(tiny()).with_variants(variants)  # type: ignore[arg-type]
    with pytest.raises(sn.OptionError, match="each value of batch_size once"):
        sn.sweep(tiny(), {"batch_size": [8, 16, 8]})
