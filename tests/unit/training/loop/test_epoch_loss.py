"""The training loss that an epoch shows is torch's over all of its samples, whoever saw them in whatever batches."""

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import smallnets as sn
from smallnets.data.stateless import order
from smallnets.training.checkpoint.files import read_checkpoint, write_checkpoint
from smallnets.training.checkpoint.schema import Checkpoint

STILL: dict[str, Any] = {
    "progress": False, "device": "cpu", "optimizer": "sgd", "lr": 0.0, "epochs": 1, "batch_size": 24, "augment": "none",
}  # fmt: skip
WEIGHTS = torch.tensor([0.5, 3.0, 20.0])


def scene(count: int = 131) -> tuple[nn.Module, Tensor, Tensor]:
    """A net, and pictures of three classes, few of the heavy one, sorted by class."""
    torch.manual_seed(3)
    labels = torch.tensor([0] * (count - 40) + [1] * 33 + [2] * 7)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.randn(count, 1, 4, 4), labels


class Ignoring(nn.CrossEntropyLoss):
    """A subclass that computes the same."""


GIVEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"class_weights": WEIGHTS}, {"weight": WEIGHTS}),
    ({"class_weights": WEIGHTS, "label_smoothing": 0.2}, {"weight": WEIGHTS, "label_smoothing": 0.2}),
    ({"label_smoothing": 0.1}, {"label_smoothing": 0.1}),
    ({"loss": nn.CrossEntropyLoss(WEIGHTS)}, {"weight": WEIGHTS}),
    ({"loss": Ignoring(WEIGHTS, ignore_index=1, label_smoothing=0.3)}, {"weight": WEIGHTS, "ignore_index": 1, "label_smoothing": 0.3}),
    ({"loss": nn.CrossEntropyLoss(ignore_index=1)}, {"ignore_index": 1}),
    ({}, {}),
]  # fmt: skip


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize(("options", "torchs"), GIVEN, ids=range(len(GIVEN)))
def test_it_is_torchs_over_all_logits(options: dict[str, Any], torchs: dict[str, Any], accumulate: int) -> None:
    net, images, labels = scene()
    expected = F.cross_entropy(net(images), labels, **torchs).item()
    found = sn.fit(net, (images, labels), **options, **STILL, accumulate=accumulate)
    assert found["loss"][0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_batches_of_one_class_each_change_nothing(order: str) -> None:
    net, images, labels = scene()
    rows = torch.arange(131) if order == "sorted" else torch.randperm(131)
    data = torch.utils.data.TensorDataset(images[rows], labels[rows])
    loader: Any = torch.utils.data.DataLoader(data, 24)  # in its own order
    how = {name: value for name, value in STILL.items() if name not in ("batch_size", "augment")}
    found = sn.fit(net, loader, class_weights=WEIGHTS, **how)
    assert found["loss"][0] == pytest.approx(F.cross_entropy(net(images), labels, WEIGHTS).item(), rel=1e-6)


LEARNT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *GIVEN,
    ({"class_weights": [0.0, 1.0, 3.0]}, {"weight": torch.tensor([0.0, 1.0, 3.0])}),  # batches of class 0 alone
    ({"loss": nn.CrossEntropyLoss(ignore_index=0)}, {"ignore_index": 0}),
    ({"loss": functools.partial(F.cross_entropy, weight=WEIGHTS)}, {"weight": WEIGHTS}),
]


@pytest.mark.parametrize(("options", "torchs"), LEARNT, ids=range(len(LEARNT)))
def test_batches_that_are_accumulated_teach_what_one_big_batch_does(
    options: dict[str, Any], torchs: dict[str, Any]
) -> None:
    net, images, labels = scene()
    before = copy.deepcopy(net)
    F.cross_entropy(before(images), labels, **torchs).backward()
    sgd = torch.optim.SGD(before.parameters(), lr=0.5)
    sgd.step()
    data = torch.utils.data.TensorDataset(images, labels)
    loader: Any = torch.utils.data.DataLoader(data, 24)  # sorted by class: batches of one class each
    how = {name: value for name, value in STILL.items() if name not in ("batch_size", "augment", "lr")}
    sn.fit(net, loader, **options, **how, lr=0.5, momentum=0, weight_decay=0, schedule="constant", accumulate=6)
    torch.testing.assert_close(list(net.parameters()), list(before.parameters()), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mix", ["mixup(0.4)", "cutmix(1.0)"])
def test_mixed_pictures_are_weighed_as_torch_weighs_soft_labels_of_a_batch(mix: str) -> None:
    """Of one batch, where torch's own answer is the batch's mean."""
    net, images, labels = scene()
    seen: list[float] = []

    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        found = F.cross_entropy(logits, truth, WEIGHTS)
        seen.append(found.item())
        return found

    how: dict[str, Any] = {**STILL, "batch_size": 200, "mix": mix}
    sn.fit(net, (images, labels), loss=loss, **how)
    own = sn.fit(net, (images, labels), class_weights=WEIGHTS, **how)["loss"][0]
    assert min(seen[-2:]) - 1e-6 <= own <= max(seen[-2:]) + 1e-6


def test_a_run_that_goes_on_within_an_epoch_has_its_sums(tmp_path: Path) -> None:
    how: dict[str, Any] = {**STILL, "lr": 0.05, "class_weights": WEIGHTS, "epochs": 2, "save_every": 2}
    net, images, labels = scene()
    whole = sn.fit(net, (images, labels), **how)["loss"]
    parts, kept = tmp_path / "run", tmp_path / "kept.ckpt"
    net, _, _ = scene()

    class Enough(Exception):
        pass

    def stop(images: Tensor) -> Tensor:
        stop.batches += 1  # type: ignore[attr-defined]
        if stop.batches == 5:  # type: ignore[attr-defined]
            kept.write_bytes((parts / "last.ckpt").read_bytes())
            raise Enough
        return images

    stop.batches = 0  # type: ignore[attr-defined]
    with pytest.raises(Enough):
        sn.fit(net, (images, labels), **{**how, "augment": stop}, run_dir=parts)
    stored = Checkpoint.from_dict(read_checkpoint(kept), kept)
    assert stored.training is not None and 0 < stored.training.progress.weight_sum != stored.training.progress.seen
    net, _, _ = scene()
    again = sn.fit(net, (images, labels), **{**how, "augment": stop}, run_dir=parts, resume="changed")["loss"]
    assert again == whole


def test_older_files_that_counted_samples_go_on(tmp_path: Path) -> None:
    net, images, labels = scene()
    sn.fit(net, (images, labels), **STILL, run_dir=tmp_path)
    content = read_checkpoint(tmp_path / "last.ckpt")
    content["progress"] |= {"epoch": 0, "batch": 3, "seen": 72, "loss_sum": 36.0, "correct": 5, "step": 3}
    content["history"] = []
    del content["progress"]["weight_sum"]
    write_checkpoint(tmp_path / "last.ckpt", content)
    found = sn.fit(net, (images, labels), **STILL, run_dir=tmp_path)
    rest = order(0, 0, 131)[72:]
    expected = 36 + F.cross_entropy(net(images[rest]), labels[rest], reduction="sum").item()
    assert found["loss"] == [pytest.approx(expected / 131, rel=1e-6)]
