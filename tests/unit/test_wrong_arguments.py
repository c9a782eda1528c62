"""Every public callable with wrong kinds and values: the library's errors, or Python's own of the signature."""

import inspect
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import smallnets as sn
from smallnets import shapes


class Odd:
    """Something that nobody expects."""


WRONG: list[Any] = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**12, "", "nonsense", "a\0b", "x" * 1000, b"bytes", [], [None],
    (), (1, -2), {}, {"a": 1}, {1}, object(), Odd(), Odd, len, torch.zeros(0), torch.zeros(2, 3), torch.ones(1),
    np.zeros(3), range(3), 1j, ..., iter([1]), slice(3), torch.nn.Linear(2, 2), torch.float32, torch.device("meta"),
]  # fmt: skip
PICTURES = torch.linspace(0, 1, 2048).view(2, 1, 32, 32)


def good() -> dict[str, Any]:
    """Arguments that are right, by name."""
    data = PICTURES, torch.tensor([0, 1])
    return {
        "model": sn.lenet5(), "net": sn.lenet5(), "train": data, "data": data, "input_size": (1, 32, 32), "name": "lenet5",
        "epochs": 1, "batch_size": 2, "device": "cpu", "precision": "fp32", "progress": False, "deterministic": True,
        "cfg": "A", "source": sn.lenet5().state_dict(), "num_classes": 3,
    }  # fmt: skip


NAMES = [
    "alexnet", "build", "check_shortcuts", "convnet3", "evaluate", "fit", "FitOptions", "freeze", "fuse", "lenet5",
    "list_models", "load", "load_weights", "min_input_size", "parameter_groups", "predict", "receptive_field", "recipe",
    "resnet18", "resnet20", "resnet50_layer4", "save", "summarize", "to_fully_convolutional", "vgg", "vgg11", "VGGHead",
    "compare", "find_lr", "grow", "feature_pyramid",
]  # fmt: skip


def calls(function: Callable[..., Any], dice: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Right arguments but for one or two."""
    known = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [each.name for each in known if each.kind in kinds]
    for _ in range(count):
        given = {name: value for name, value in good().items() if name in names}
        for name in dice.sample(names, min(len(names), dice.choice((1, 1, 2)))):
            given[name] = dice.choice(WRONG)
        yield given


def of_the_signature(error: Exception) -> bool:
    """Whether Python refused the call before a line of the function was run."""
    signs = ("required positional argument", "required keyword-only argument", "unexpected keyword", "takes ")
    return isinstance(error, TypeError) and any(sign in str(error) for sign in signs)


def offence(function: Callable[..., Any], given: dict[str, Any]) -> str:
    """What leaves that should not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(**given)
    except sn.SmallnetsError as error:
        return f"{len(str(error))} characters: {error}" if len(str(error)) >= 300 else ""
    except Exception as error:
        return "" if of_the_signature(error) else f"{type(error).__name__}: {error}"[:200]
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_our_errors(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    function, dice = getattr(sn, name), random.Random(name)
    found = [(said, given) for given in calls(function, dice, 10) if (said := offence(function, given))]
    assert not found


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(shapes, inspect.isfunction)])
def test_nothing_but_our_errors_of_the_arithmetic(name: str) -> None:
    function, dice = getattr(shapes, name), random.Random(name)
    found = [(said, given) for given in calls(function, dice, 10) if (said := offence(function, given))]
    assert not found
