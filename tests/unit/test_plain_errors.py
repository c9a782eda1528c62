"""What users hand over by mistake is refused in one sentence, never by a bare error of torch or Python."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import smallnets as sn

IMAGES = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 4
ONE_HOT = nn.functional.one_hot(LABELS).float()
PAIR = (IMAGES, LABELS)
QUIET: dict[str, Any] = {"epochs": 1, "batch_size": 8, "progress": False, "deterministic": True}


def net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


class Gives(nn.Module):
    """A net that makes something of its logits."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.make = net(), make

    def forward(self, x: Tensor) -> Any:
        return self.make(self.net(x))


class Takes(Gives):
    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.net(x)


class Own(Dataset[Any]):
    def __init__(self, sample: Callable[[int], Any]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (None, "expected a net, which is an nn.Module; got None"),
        (nn.Linear, "expected a net, which is an nn.Module"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), "lazy layers that saw no picture yet"),
        (net().double(), "weights of float32; got torch.float64"),
        (net().bfloat16(), "weights of float32; got torch.bfloat16"),
        (sn.lenet5(4, input_size=32).half(), "weights of float32; got torch.float16"),
        (Gives(lambda logits: {"logits": logits}), "logits (N, classes); got a dict"),
        (Gives(lambda logits: (logits, logits)), "logits (N, classes); got a tuple"),
        (Gives(lambda logits: None), "logits (N, classes); got a NoneType"),
        (Gives(lambda logits: logits[:, :, None, None]), "logits (N, classes); got ("),
        (Takes(lambda logits: logits), "and nothing else; got one that does not (Takes.forward() missing 1"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 4)), "mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_nets(model: Any, text: str) -> None:
    size = 32 if isinstance(model, sn.LeNet) else 8
    pair = (torch.zeros(24, 1, size, size), LABELS)
    for call in (
        lambda: sn.fit(model, pair, **QUIET),
        lambda: sn.evaluate(model, pair),
        lambda: sn.predict(model, pair),
    ):
        with pytest.raises(sn.OptionError, match=re.escape(text)):
            call()


class Auxiliary(Gives):
    """Gives more in training, as GoogLeNet does."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) if self.training else self.net(x)


@pytest.mark.parametrize("measured", [{}, {"deterministic": False, "epochs": 100}])
def test_nets_that_give_more_in_training(measured: dict[str, Any]) -> None:
    with pytest.raises(sn.OptionError, match=re.escape("logits (N, classes); got a tuple")):
        sn.fit(Auxiliary(lambda logits: (logits, logits)), PAIR, **{**QUIET, **measured})


def test_a_lone_sample_under_batch_norm() -> None:
    normed = nn.Sequential(net(), nn.BatchNorm1d(4))
    with pytest.raises(sn.OptionError, match="at least two samples a batch for batch norm; got 1"):
        sn.fit(normed, PAIR, **{**QUIET, "batch_size": 1})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (TensorDataset(IMAGES, LABELS, LABELS), "batches of (images, labels)"),
        (TensorDataset(IMAGES), "batches of (images, labels)"),
        (Own(lambda i: {"image": IMAGES[i], "label": 0}), "a Dataset of (image tensor, label); got dict"),
        (TensorDataset(IMAGES, LABELS.float()), "a whole-numbered label a picture; got (8,) torch.float32"),
        (TensorDataset(IMAGES, ONE_HOT), "got (8, 4) torch.float32. Of probabilities, take argmax"),
        (TensorDataset(IMAGES, LABELS[:, None]), "got (8, 1) torch.int64"),
        (Own(lambda i: (IMAGES[i], "cat")), "a whole-numbered label a picture; got a tuple"),
        (Own(lambda i: (IMAGES[i], None)), "samples that make a batch"),
        (Own(lambda i: (IMAGES[i, :, : 4 + i % 2], 0)), "samples that make a batch"),
        (((IMAGES, LABELS), (IMAGES, LABELS)), "images and labels, as tensors or arrays of numbers; got a tuple and"),
        ((IMAGES, ["cat"] * 24), "as tensors or arrays of numbers; got a Tensor and a list"),
        ((IMAGES, None), "got a Tensor and a NoneType"),
    ],
)
def test_data(data: Any, text: str) -> None:
    with pytest.raises(sn.DataError, match=re.escape(text)):
        sn.fit(net(), data, **QUIET)


@pytest.mark.parametrize("kind", [torch.int8, torch.int32, torch.uint8])
def test_labels_of_any_whole_kind(kind: torch.dtype) -> None:
    data, plain = TensorDataset(IMAGES, LABELS.to(kind)), net()
    assert sn.fit(plain, data, **QUIET)["loss"][0] > 0
    assert sn.evaluate(plain, data).accuracy == sn.evaluate(plain, PAIR).accuracy


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, "a loss that is a tensor of one number; got shape (8,)"),
        ({"loss": lambda logits, labels: 1.0}, "a loss that is a tensor of one number; got a float"),
        ({"loss": lambda logits, labels: torch.ones(())}, "one cut off from the logits"),
        ({"loss": nn.BCEWithLogitsLoss()}, "a loss of logits (8, 4) and labels (8,); got Target size"),
        ({"loss": nn.CrossEntropyLoss(), "label_smoothing": 0.1}, "label_smoothing with loss='cross-entropy' only"),
        ({"loss": 5}, "loss to be a name or a callable; got 5"),
        ({"optimizer": None}, "optimizer to be a name or a callable; got None"),
        ({"optimizer": lambda parameters: None}, "an optimizer, or a factory that makes one; got None"),
        ({"optimizer": torch.optim.LBFGS}, "computes the loss once a step; got LBFGS"),
        ({"schedule": 5}, "schedule to be a name or a callable; got 5"),
        ({"schedule": lambda step, total: None}, "f(step, total_steps) that gives a number; got one that fails"),
        ({"schedule": lambda step: 1.0}, "f(step, total_steps) that gives a number; got one that fails"),
        ({"schedule": lambda step, total: -1.0}, "numbers of at least 0; got -1.0 at step 0"),
        ({"augment": None}, "augment to be a name or a callable; got None"),
        ({"augment": lambda images: images[:3]}, "augment to give 8 pictures, as it was given; got (3, 1, 8, 8)"),
        ({"augment": lambda images: None}, "augment to give 8 pictures, as it was given; got a NoneType"),
        ({"mix": 5}, "mix to be 'mixup(alpha)' or 'cutmix(alpha)'"),
        ({"callbacks": print}, "a list of callbacks; got <built-in function print>. Put a single one into a list."),
        ({"callbacks": [None]}, "callbacks that can be called; got None"),
        ({"restore_best": "no"}, "restore_best to be one of True, False; got 'no'"),
        ({"deterministic": "no"}, "deterministic to be one of True, False; got 'no'"),
    ],
)
def test_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(sn.OptionError, match=re.escape(text)):
        sn.fit(net(), PAIR, **{**QUIET, **settings})


def test_options_that_are_none() -> None:
    wrong: Any = {"epochs": 1}
    with pytest.raises(sn.OptionError, match=r"options to be FitOptions; got \{'epochs': 1\}"):
        sn.fit(net(), PAIR, options=wrong)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"topk": 5}, "topk to be a sequence of ranks; got 5"),
        ({"scales": 32}, "scales to be a sequence of sides; got 32"),
    ],
)
def test_measuring(options: dict[str, Any], text: str) -> None:
    with pytest.raises(sn.OptionError, match=text):
        sn.evaluate(net(), PAIR, **options)


def test_finding_a_rate() -> None:
    wrong: Any = "a"
    with pytest.raises(sn.OptionError, match="find_lr: expected start to be a number"):
        sn.find_lr(net(), PAIR, start=wrong)
