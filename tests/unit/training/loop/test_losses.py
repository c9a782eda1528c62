"""The loss of a whole set: the same in any order, in any batches, with weights of the classes, and in one precision."""

import copy
import functools
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import smallnets as sn
from smallnets import OptionError
from smallnets.training.feed.understand import understand
from smallnets.training.loop.losses import make_loss, weights_of
from smallnets.training.options import FitOptions

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "lr": 0.0, "optimizer": "sgd", "epochs": 1}
WEIGHTS = torch.tensor([1.0, 20.0])


class Constant(nn.Module):
    """Says (3, 0) of every picture."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([3.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand(len(x), 2)


def sorted_set(count: int = 512) -> tuple[Tensor, Tensor]:
    return torch.zeros(count, 1, 2, 2), (torch.arange(count) >= count // 2).long()


def val_loss(loss: Any, val: Any, net: nn.Module | None = None, **options: Any) -> float:
    history = sn.fit(net or Constant(), sorted_set(), val, loss=loss, **{**QUIET, **options})
    return history["val_loss"][0]


class Odd(nn.CrossEntropyLoss):
    """A subclass that computes the same."""


LOSSES: list[Any] = [
    nn.CrossEntropyLoss(weight=WEIGHTS), Odd(weight=WEIGHTS), functools.partial(F.cross_entropy, weight=WEIGHTS),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=["module", "subclass", "partial"])
@pytest.mark.parametrize("order", ["sorted", "shuffled", "backwards"])
def test_the_loss_of_a_weighted_set_is_the_same_in_any_order(loss: Any, order: str) -> None:
    images, labels = sorted_set()
    rows = {"sorted": torch.arange(512), "shuffled": torch.randperm(512), "backwards": torch.arange(512).flip(0)}[order]
    assert val_loss(loss, (images[rows], labels[rows])) == pytest.approx(2.9057, abs=5e-5)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_torchs_loss_of_all_at_once(seed: int) -> None:
    torch.manual_seed(seed)
    draw = random.Random(seed)
    count, classes, batch = draw.randint(1, 300), draw.randint(2, 7), draw.randint(1, 60)
    logits, labels = torch.randn(count, classes) * 3, torch.randint(0, classes, (count,)).sort().values
    weights = torch.rand(classes) + 0.01
    given: list[tuple[Any, dict[str, Any]]] = [
        (nn.CrossEntropyLoss(weights), {}), (nn.CrossEntropyLoss(weights, label_smoothing=0.2), {}),
        (nn.CrossEntropyLoss(weights, ignore_index=1), {}), (nn.CrossEntropyLoss(), {}), (nn.NLLLoss(weights), {}),
    ]  # fmt: skip
    for loss, options in given:
        _, total = make_loss(FitOptions(loss=loss, **options), torch.device("cpu"))
        batches = zip(logits.split(batch), labels.split(batch), strict=True)
        parts = [(total.mean(*each), total.weight(each[1])) for each in batches]
        sums = [(mean * weight).item() if weight else 0.0 for mean, weight in parts]
        found = sum(sums) / max(sum(weight.item() for _, weight in parts), 1e-30)
        expected = loss(logits, labels).item()
        if expected == expected:  # all may be ignored
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_class_weights_are_torchs() -> None:
    images, labels = torch.randn(60, 1, 4, 4), torch.randint(0, 3, (60,))
    losses = []
    for options in (
        {"class_weights": torch.tensor([1.0, 2.0, 5.0])},
        {"class_weights": [1, 2, 5]},
        {"loss": nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 5.0]))},
    ):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        rows = sn.fit(
            net, (images, labels), (images, labels), epochs=2, batch_size=16, **options, progress=False, device="cpu"
        )
        losses.append([*rows["loss"], *rows["val_loss"], net[1].weight.sum().item()])
    assert losses[0] == losses[1] == pytest.approx(losses[2])
    assert rows["val_loss"][1] == pytest.approx(
        F.cross_entropy(net(images), labels, torch.tensor([1.0, 2.0, 5.0])).item(), rel=1e-5
    )


class Targets(Dataset[tuple[Tensor, int]]):
    def __init__(self, labels: Tensor, name: str) -> None:
        self.own = labels
        setattr(self, name, labels.tolist())

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.randn(1, 4, 4), int(self.own[index])


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = torch.tensor([0] * 40 + [1] * 8 + [2] * 2)
    expected = torch.tensor(compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())).float()
    pictures = torch.zeros(50, 1, 4, 4)
    known: list[Any] = [
        (pictures, labels), TensorDataset(pictures, labels), Targets(labels, "targets"), Targets(labels, "labels"),
        DataLoader(TensorDataset(pictures, labels), 5), Subset(Targets(torch.cat([labels, labels]), "targets"), range(50)),
    ]  # fmt: skip
    options = FitOptions(class_weights="balanced")
    for data in known:
        found = weights_of(options, understand(data, "fit"), 3)
        assert found is not None
        torch.testing.assert_close(found, expected)
    for data in (Targets(labels, "elsewhere"), Targets(labels[:1], "elsewhere")):
        with pytest.raises(
            OptionError, match=r"expected labels that are known beforehand for 'balanced'; got none. Give class_"
        ):
            weights_of(options, understand(data, "fit"), 3)
    four = weights_of(options, understand((pictures, labels), "fit"), 4)
    assert four is not None and four[3] == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"class_weights": "even"}, "class_weights to be 'balanced', or a number a class, none negative; got 'even'"),
    ({"class_weights": [1, -1]}, "none negative"), ({"class_weights": []}, "none negative"), ({"class_weights": [0, 0]}, "none negative"),
    ({"class_weights": [1, float("nan")]}, "none negative"), ({"class_weights": 3}, "none negative"), ({"class_weights": [[1, 2]]}, "none negative"),
    ({"class_weights": [1, 2, 3]}, "expected 2 class_weights, one a logit; got 3"),
    ({"class_weights": [1, 2], "loss": nn.CrossEntropyLoss()}, "class_weights with loss='cross-entropy' only; got a loss of yours"),
    ({"decay": "none"}, "decay to be one of 'all', 'weights'; got 'none'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "text"), WRONG, ids=range(len(WRONG)))
def test_wrong_weights_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        sn.fit(Constant(), sorted_set(), **{**QUIET, **options})


@pytest.mark.parametrize("surrounding", [False, True])
def test_training_and_validation_compute_a_loss_in_one_precision(surrounding: bool) -> None:
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}

    def product(logits: Tensor, labels: Tensor) -> Tensor:
        similar = logits @ logits.T
        seen[logits.requires_grad].add(similar.dtype)
        return F.cross_entropy(logits, labels) + 0 * similar.mean()

    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images, labels = torch.randn(64, 1, 2, 2), torch.arange(64) % 2
    for precision in ("bf16", "fp32"):
        with torch.autocast("cpu", torch.bfloat16, enabled=surrounding):
            sn.fit(net, (images, labels), (images, labels), loss=product, precision=precision, **QUIET)  # type: ignore[arg-type]
    assert seen == {True: {torch.float32}, False: {torch.float32}}


def test_a_loss_of_ones_own_is_averaged_by_size() -> None:
    images, labels = sorted_set(600)

    def own(logits: Tensor, truth: Tensor) -> Tensor:
        return F.cross_entropy(logits, truth) + 0 * logits.sum()

    found = val_loss(own, (images, labels))
    assert found == pytest.approx(F.cross_entropy(torch.tensor([[3.0, 0.0]]).expand(600, 2), labels).item(), rel=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_surrounding_autocast_changes_nothing(precision: Any) -> None:
    images, labels = torch.randn(64, 1, 4, 4), torch.arange(64) % 2
    rows = []
    for surrounding in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
        options: dict[str, Any] = {"epochs": 3, "lr": 0.05, "batch_size": 16, "precision": precision}
        with torch.autocast("cpu", torch.bfloat16, enabled=surrounding):
            found = sn.fit(net, (images, labels), (images, labels), progress=False, device="cpu", **options)
        rows.append([*found["loss"], *found["val_loss"]])
    assert rows[0] == rows[1]


@pytest.mark.parametrize("surrounding", [False, True])
def test_each_step_in_bf16_sees_the_weights_of_the_step_before(surrounding: bool) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(32, 1, 4, 4), torch.arange(32) % 2
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    twin, expected = copy.deepcopy(net), list[float]()
    optimizer = torch.optim.SGD(twin.parameters(), 0.5)
    for _ in range(4):
        with torch.autocast("cpu", torch.bfloat16):
            logits = twin(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    options: dict[str, Any] = {
        "optimizer": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "lr": 0.5,
    }
    with torch.autocast("cpu", torch.bfloat16, enabled=surrounding):
        found = sn.fit(net, (images, labels), epochs=4, precision="bf16", progress=False, device="cpu", **options)
    assert found["loss"] == pytest.approx(expected, rel=2e-3) and expected[3] < 0.9 * expected[0]
