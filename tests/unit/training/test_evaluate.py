"""evaluate and predict: every sample once, and the right sums."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from torch import Tensor, nn

import smallnets as sn
from smallnets import DataError, OptionError, Predictions
from smallnets.data import load
from smallnets.training.metrics import metrics_from


class Scripted(nn.Module):
    """Gives the logits that a picture carries in its first row."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 0]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_metrics_are_scikit_learns(batch_size: int) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(203, 1, 2, 8), torch.randint(0, 8, (203,))
    logits = images[:, 0, 0]
    found = sn.evaluate(Scripted(), (images, labels), batch_size=batch_size, topk=(1, 2, 5, 9))
    guess = logits.argmax(dim=1)
    assert found.n == 203
    assert found.accuracy == found.topk[1] == oracle.accuracy_score(labels, guess)
    for k in (2, 5):
        assert found.topk[k] == pytest.approx(oracle.top_k_accuracy_score(labels, logits, k=k))
    assert set(found.topk) == {1, 2, 5}  # 9 is above the number of classes
    assert found.loss == pytest.approx(oracle.log_loss(labels, logits.double().softmax(dim=1)), abs=1e-6)
    assert np.array_equal(found.confusion.numpy(), oracle.confusion_matrix(labels, guess))
    recalls = oracle.recall_score(labels, guess, average=None)
    assert list(found.per_class.values()) == pytest.approx(list(recalls))


def test_a_class_without_samples_has_no_accuracy() -> None:
    test = load("digits", "test")
    found = sn.evaluate(sn.lenet5(), test[test.labels != 4])
    assert np.isnan(found.per_class["4"]) and found.n == int((test.labels != 4).sum())


def test_constant_logits_are_not_always_right() -> None:
    labels = torch.arange(10).repeat(3)
    found = sn.evaluate(Scripted(), (torch.zeros(30, 1, 1, 10), labels))
    assert found.accuracy == 0.1 and found.topk[5] <= 0.5


def test_equal_logits_rank_as_they_do_for_accuracy() -> None:
    logits = torch.randn(300, 20, generator=torch.Generator().manual_seed(0)).mul(2).round()
    labels = torch.arange(300) % 20
    found = sn.evaluate(nn.Flatten(), (logits[:, :, None, None], labels), topk=(1, 2, 5))
    places = np.argsort(-logits.numpy(), axis=1, kind="stable")
    hits = [float((places[:, :rank] == labels.numpy()[:, None]).any(axis=1).mean()) for rank in (1, 2, 5)]
    assert list(found.topk.values()) == pytest.approx(hits) and found.topk[1] == found.accuracy


def test_logits_that_are_no_numbers_are_never_right() -> None:
    nothing = torch.full((8, 3, 1, 1), float("nan"))
    assert sn.evaluate(nn.Flatten(), (nothing, torch.ones(8, dtype=torch.int64)), topk=(1, 2)).topk == {1: 0, 2: 0}


def test_sums_are_float64_in_batch_order() -> None:
    images, labels = torch.randn(1000, 1, 1, 3), torch.randint(0, 3, (1000,))
    parts = [
        nn.functional.cross_entropy(images[i : i + 3, 0, 0], labels[i : i + 3]).double() * len(labels[i : i + 3])
        for i in range(0, 1000, 3)
    ]
    total = 0.0
    for part in parts:
        total += part.item()
    assert sn.evaluate(Scripted(), (images, labels), batch_size=3).loss == total / 1000
    losses = np.array([1e16, *[1.0] * 14, -1e16])  # a one is lost beside 1e16; pairwise summation keeps some
    rows = np.stack([losses, np.ones(16)], axis=1)
    assert metrics_from(rows, np.zeros((16, 0)), torch.eye(2), (), ("a", "b"), {}).loss == 0 != losses.sum()


def test_predictions(tmp_path: Path) -> None:
    test = load("digits", "test")
    model = sn.lenet5().eval()
    found = sn.predict(model, test, batch_size=50)
    pixels = (test.images.float() / 255 - test.mean[0]) / test.std[0]
    expected = model(pixels).softmax(dim=1)
    torch.testing.assert_close(found.probabilities, expected.detach(), atol=1e-5, rtol=1e-4)
    assert torch.equal(found.labels, found.probabilities.argmax(dim=1)) and found.ids == test.ids
    found.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == sorted(test.ids) and len(rows) == 359
    assert float(rows[0]["p_3"]) == pytest.approx(
        found.probabilities[test.ids.index(rows[0]["id"]), 3].item(), abs=1e-6
    )
    found.grid(test, tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 10_000
    with pytest.raises(DataError, match="expected the 359 pictures that were predicted; got 5"):
        found.grid(test.images[:5])


def test_csv_ids_are_sorted_by_number(tmp_path: Path) -> None:
    ids = ("img10.jpg", "img2.jpg", "b", "img1.jpg", "a")
    labels, shares = torch.tensor([1, 0, 0, 1, 0]), torch.tensor([[0.25, 0.75]] * 5)
    Predictions(ids, labels, shares, ("cat", "dog")).to_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().split() == [
        "id,predicted,p_cat,p_dog",
        *(f"{name},0.250000,0.750000" for name in ("a,cat", "b,cat", "img1.jpg,dog", "img2.jpg,cat", "img10.jpg,dog")),
    ]


def test_the_grid_tells_what_is_wrong_where_the_truth_is_known() -> None:
    test = load("digits", "test")[:2]
    ids, labels = test.ids, torch.stack([test.labels[0], (test.labels[1] + 1) % 10])
    found = Predictions(ids, labels, torch.full((2, 10), 0.1), test.classes)
    told, untold = (
        [axes.get_title() for axes in found.grid(pictures).axes] for pictures in (test, test.images)
    )  # fmt: skip
    assert "true" not in told[0] and told[1].endswith(f"true: {test.classes[test.labels[1]]}")
    assert not any("true" in title for title in untold)


def test_images_alone_can_be_predicted() -> None:
    images, model = load("digits", "test").images[:5], sn.lenet5()
    assert sn.predict(model, images.float()).probabilities.shape == (5, 10)
    model.data_facts = sn.DataFacts(mean=(0.2,), std=(0.3,))  # type: ignore[assignment]
    for data in (images, images.numpy(), images.float()):
        assert sn.predict(model, data).probabilities.shape == (5, 10)
    assert len(sn.predict(model, images[0])) == 1


def test_the_confusion_matrix_is_drawn(tmp_path: Path) -> None:
    found = sn.evaluate(sn.lenet5(), load("digits", "test"))
    figure = found.plot_confusion(tmp_path / "confusion.png")
    assert any(f"{found.accuracy:.4f}" in axes.get_title(loc="left") for axes in figure.axes)
    assert (tmp_path / "confusion.png").stat().st_size > 10_000


def test_bf16_agrees_roughly() -> None:
    test, model = load("digits", "test"), sn.lenet5()
    exact, rough = (sn.evaluate(model, test, precision=p) for p in ("fp32", "bf16"))
    assert rough.loss == pytest.approx(exact.loss, rel=0.02) and rough.plan["precision"] == "bf16"


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ("digits", {"batch_size": 0}, "evaluate: expected batch_size to be an integer of at least 1; got 0."),
    (
        "digits",
        {"precision": "half"},
        "evaluate: expected precision to be one of 'auto', 'fp32', 'bf16', 'fp16'; got 'half'.",
    ),
    ("digits", {"topk": (0,)}, "evaluate: expected every rank in topk to be an integer of at least 1; got 0."),
    (
        42,
        {},
        "evaluate: expected an ImageSet, an ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader; got int.",
    ),
    (None, {}, "got NoneType."),
]


@pytest.mark.parametrize(("data", "options", "text"), BAD)
def test_bad_arguments(data: Any, options: dict[str, Any], text: str) -> None:
    pictures = load("digits", "test") if data == "digits" else data
    with pytest.raises((OptionError, DataError), match=re.escape(text)):
        sn.evaluate(sn.lenet5(), pictures, **options)


def test_labels_that_have_no_logit() -> None:
    with pytest.raises(DataError, match="expected labels from 0 to 2; got 1 outside, the first 5 at position 3"):
        sn.evaluate(Scripted(), (torch.zeros(4, 1, 1, 3), torch.tensor([0, 1, 2, 5])))


def test_no_ranks_are_no_ranks() -> None:
    assert sn.evaluate(Scripted(), (torch.zeros(4, 1, 1, 3), torch.tensor([0, 1, 2, 0])), topk=(7,)).topk == {}


def test_ids_with_raised_digits_are_sorted_too() -> None:
    from smallnets.training.metrics import natural

    assert sorted(["1²10", "1²9"], key=natural) == ["1²9", "1²10"]
