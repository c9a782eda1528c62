"""Recipes are data that is checked when it is read, and say what the reports say."""

import json
import re
from pathlib import Path

import pytest
import torch

import smallnets as sn
from smallnets.experiments.jobs import How, experiment
from smallnets.experiments.recipe import Recipe, list_recipes

LEAST = 'title = "Mine"\nnet = "lenet5"\n'


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_can_be_built_and_fitted(name: str) -> None:
    recipe = sn.recipe(name)
    for changes in (recipe.variants or {"": {}}).values():
        changed = recipe.changed(changes)
        with torch.device("meta"):
            assert changed.build().num_classes == (len(recipe.data.classes) if recipe.data.classes else 10)
        assert changed.fit_options().epochs >= 1
    assert recipe.command in recipe.text  # its head says how to run it
    assert recipe.title and (recipe.system == "ours" or recipe.source)
    assert (recipe.data.test == "every epoch") <= (recipe.data.validation == 0)
    if name.startswith("tuned-"):
        assert recipe.data.test == "once"
    if name.startswith("tuning-"):
        assert recipe.data.test == "none" and recipe.data.validation > 0


PARAMETERS = {  # as the reports' own tables and code have them
    "r1-vgg16": 14_983_498,
    "r2-resnet50-layer4": 8_898_826,
    "r4-vgg16-three": 33_617_987,
    "r6-resnet50-three": 23_510_339,
    "r7-convnet3": 469_532,
    "r8-lenet5-digits": 61_706,
    "r8-lenet-cats-dogs": 46_038_242,
    "r9-alexnet-cats-dogs": 42_321_218,
}


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items(), ids=str)
def test_the_systems_are_the_reports(name: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in sn.recipe(name).build().parameters()) == count


def test_the_epochs_that_made_the_checkpoint_come_first() -> None:
    recipe = sn.recipe("r1-vgg16")
    assert recipe.fit_options().epochs == 62 and recipe.fit_options(epochs=3).epochs == 3
    assert recipe.fit_options().schedule == "step(20, 1/3)"


def test_a_recipe_becomes_an_experiment() -> None:
    asked = experiment(sn.recipe("r4-vgg16-three"), How("pictures.zip", limit=100), Path("runs/x"), seed=3)
    assert asked.watched and asked.val == 0 and asked.limit == 100 and asked.settings.seed == 3
    assert asked.loading["classes"] == ["airplane", "automobile", "bird"]
    assert asked.loading["stats"] == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    assert experiment(sn.recipe("tuning-convnet3"), How("x"), Path("y"), seed=0).test is None


def test_changes_find_their_place() -> None:
    recipe = sn.recipe("r7-convnet3")
    changed = recipe.changed(
        {"batch_size": 256, "channels": [16, 32, 64], "size": 16, "validation": 0.2, "net": "convnet3"}
    )
    assert changed.fit["batch_size"] == 256 and changed.options["channels"] == [16, 32, 64]
    assert changed.data.size == 16 and changed.data.validation == 0.2 and recipe.fit["batch_size"] == 30


WRONG = {
    "": "recipe mine: expected title to be text; got None.",
    'title = "Mine"\n': "recipe mine: expected net to be text; got None.",
    LEAST + "nett = 3": "recipe mine: expected one of ",
    LEAST + "[data]\nsorce = 'x'": "recipe mine, [data]: expected one of source, classes,",
    LEAST + "[fit]\nepoch = 3": "FitOptions: expected a setting of fit; got 'epoch'. Did you mean 'epochs'?",
    LEAST + "[fit]\nepochs = 0": "fit: expected epochs to be an integer of at least 1; got 0.",
    LEAST + "[fit]\nepochs = 'many'": "fit: expected epochs to be an integer of at least 1; got 'many'.",
    LEAST
    + "[data]\ntest = 'twice'": "recipe mine: expected test to be one of 'once', 'every epoch', 'none'; got 'twice'.",
    LEAST + "[data]\ntest = 'every epoch'": "recipe mine: expected nothing held out with test = 'every epoch'",
    LEAST
    + "[variants]\na = { lrr = 1 }": "recipe mine: expected a setting of fit, of the data or of lenet5; got 'lrr'.",
    LEAST + "[variants]\na = 3": "recipe mine: expected variants to be tables; got 3.",
    LEAST + "fit = 3": "recipe mine: expected fit to be a table; got 3.",
    LEAST + "data = 3": "recipe mine: expected data to be a table; got 3.",
    LEAST + "after = 'x'": "recipe mine: expected after to be an integer of at least 0; got 'x'.",
    LEAST.replace("lenet5", "lenet6"): "build: expected the name of a net; got 'lenet6'. Did you mean 'lenet5'?",
    "title = ": "recipe: expected a recipe in",
}


@pytest.mark.parametrize(("text", "error"), WRONG.items(), ids=range(len(WRONG)))
def test_a_file_that_is_no_recipe_is_refused_in_one_sentence(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(sn.OptionError) as refused:
        sn.recipe(path)
    assert error in str(refused.value) and "\n" not in str(refused.value)


def test_names_and_files(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(LEAST + "options = { variant = '1998' }\n[fit]\nepochs = 3\n")
    mine = sn.recipe(tmp_path / "mine.toml")
    assert isinstance(mine, Recipe) and mine.name == "mine" and mine.fit_options().epochs == 3
    assert mine.call == "lenet5(variant='1998')"
    with pytest.raises(sn.OptionError, match="Did you mean 'r4-vgg16-three'"):
        sn.recipe("r4-vgg16-tree")
    with pytest.raises(sn.OptionError, match="expected the name of a recipe"):
        sn.recipe("")
    with pytest.raises(sn.OptionError, match="No such file"):
        sn.recipe("nowhere.toml")


RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
EXPECTED = {name: figure for name in list_recipes() if (figure := sn.recipe(name).expect) is not None}


@pytest.mark.parametrize("name", list_recipes())
def test_what_to_expect_was_measured(name: str) -> None:
    """The accuracy, and the time on two cores: measured whole there, or made of the rates of its runs."""
    figure, path = EXPECTED[name], RESULTS / f"{name}.json"
    measured = json.loads(path.read_text()).get(name, {}) if path.exists() else {}
    accuracy = measured.get("test_accuracy")
    assert figure.test_accuracy == (accuracy and round(accuracy, 4))
    if measured.get("seconds_count") and measured["hardware"]["gpu"] is None:
        assert figure.seconds == pytest.approx(measured["seconds"], abs=0.5)
    else:
        rates = json.loads((RESULTS / "two-cores.json").read_text())["recipes"][name]
        assert figure.seconds == sum(rate["seconds"] for rate in rates)
        assert all(rate["seconds"] == round(rate["images"] / rate["images_per_second"]) for rate in rates)
        runs = [sn.recipe(name).changed(changes) for changes in sn.recipe(name).variants.values() or [{}]]
        runs = [each for run in runs for each in (run, *([sn.recipe(run.start)] if run.start else []))]
        for rate, run in zip(rates, runs, strict=True):
            assert rate["images"] % run.fit_options().epochs == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ways = [{tta = "flips"}]', "tta to be one of None, 'flip', 'ten-crop', 'dense'; got 'flips'"),
        ('ways = [{views = "flip"}]', "every way to test to be a table of tta and scales"),
        ('ways = [{scales = ["a"]}]', "every side in scales to be an integer"),
        ("ways = 3", "ways to be a list of tables; got 3"),
        ('notes = ["a", "b"]', "notes to be text"),
        ("system = 3", "system to be text; got 3"),
        ("start = 3", "start to be text; got 3"),
        ('[reported]\ntest_accuracy = "86.8 %"', "test_accuracy to be a number of at least 0; got '86.8 %'"),
        ("[expect]\nnote = 1", "note to be text; got 1"),
        ("[data]\nclasses = 35", "classes to be a list of names; got 35"),
        ("[data]\nclasses = [3, 5]", "every class to be text; got 3"),
        ("[data]\nsource = 3", "source to be text; got 3"),
        ("[data]\nmean = [0.5]", "mean and std together; got one of them"),
        ('[data]\nmean = ["a"]\nstd = [1.0]', "every mean to be a number"),
        ("[options]\nnope = 3", "a setting of fit, of the data or of lenet5; got 'nope'"),
    ],
)
def test_mistakes_in_a_file_come_to_light_when_it_is_read(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LEAST + text + "\n")
    with pytest.raises(ValueError, match=re.escape(said)):
        sn.recipe(path)


def test_the_command_of_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my own.toml"
    path.write_text(LEAST)
    assert sn.recipe(path).command == f"smallnets recipe run '{path}' --data PATH --run-dir 'runs/my own'"
