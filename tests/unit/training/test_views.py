"""What a notebook shows of a run, a measurement, predictions and a range test."""

import json
import math
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

import smallnets as sn
from smallnets.data import ImageSet
from smallnets.facts import DataFacts
from smallnets.training.history import History
from smallnets.training.metrics import Metrics, Predictions
from smallnets.training.views import TILES, ticks

HEAVY = 300_000  # bytes that no view exceeds
EVIL = "<i>&'\""


class Checked(HTMLParser):
    """Counts tags, and sees that what is opened is closed."""

    VOID = ("img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(shown: Any) -> Checked:
    html: str = shown._repr_html_()
    assert len(html.encode()) < HEAVY
    assert "<script" not in html and "<i>" not in html and "http" not in html and "url(" not in html
    return Checked(html)


def row(epoch: int, loss: float, val: float | None = None) -> Any:
    return {
        "epoch": epoch, "loss": loss, "accuracy": 1 - loss, "val_loss": val,
        "val_accuracy": None if val is None else 1 - val, "lr": 0.1, "seconds": 0.5, "images_per_second": 10.0,
    }  # fmt: skip


def metrics(classes: int, n: int = 5000) -> Metrics:
    random = torch.Generator().manual_seed(0)
    confusion = torch.randint(0, 9, (classes, classes), generator=random)
    confusion[0] = 0
    names = {f"{EVIL} {k} {'long' * 50}": (k / classes if k else math.nan) for k in range(classes)}
    return Metrics(1.25, 0.5, {1: 0.5, 5: 0.75}, names, confusion, n)


@pytest.mark.parametrize("epochs", [0, 1, 3, 20_000])
@pytest.mark.parametrize("validated", [True, False])
def test_a_history_is_two_charts(epochs: int, validated: bool) -> None:
    rows = [row(k + 1, 1 / (k + 1), 0.9 / (k + 1) if validated else None) for k in range(epochs)]
    page = seen(History(rows))
    assert page.counts.get("svg", 0) == (2 if epochs else 0)
    assert page.counts.get("polyline", 0) == (2 + 2 * validated if epochs else 0)
    assert (f"best epoch {epochs}:" if epochs else "no epoch yet") in page.text


def test_the_ring_is_at_the_best_epoch_and_nan_is_left_out() -> None:
    values = [0.8, math.nan, 0.2, 0.5]
    html = History([row(k + 1, 0.5, value) for k, value in enumerate(values)])._repr_html_()
    loss = html[html.index("<svg") : html.index("</svg>")]
    points = loss.split("points='")[2].split("'")[0].split()
    assert len(points) == 3 and "nan" not in html
    x, y = points[1].split(",")
    assert f"cx='{x}' cy='{y}'" in loss
    assert float(y) == min(y for x, y in (map(float, point.split(",")) for point in points)) or float(y) > 0
    assert float(y) > float(points[0].split(",")[1])  # lower is further down


def test_a_metrics_is_a_matrix_or_for_many_classes_its_worst() -> None:
    few, many = seen(metrics(20)), seen(metrics(1000))
    assert few.counts["td"] == 20 * 22 and "top-5 0.7500" in few.text
    assert "worst of 1,000 classes" in many.text and many.counts["table"] == 2
    assert EVIL in few.text


def test_metrics_are_json() -> None:
    found = metrics(3)
    text = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert text == found.to_dict()
    assert text["confusion"] == found.confusion.tolist() and text["topk"] == {"1": 0.5, "5": 0.75}
    assert list(text["per_class"].values()) == [None, 1 / 3, 2 / 3]
    assert set(text) == set(Metrics.__dataclass_fields__)


def test_metrics_are_written(tmp_path: Any) -> None:
    text = metrics(3).to_json(tmp_path / "metrics.json", indent=2)
    assert (tmp_path / "metrics.json").read_text() == text + "\n"


def said_of(count: int, pictures: object, classes: int = 3) -> Predictions:
    labels = torch.arange(count) % classes
    shares = torch.nn.functional.one_hot(labels, classes).float()
    names = tuple(f"{EVIL}{k}" for k in range(classes))
    return Predictions(tuple(f"{k}{EVIL}" for k in range(count)), labels, shares, names, pictures=pictures)


class Broken(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        raise OSError("gone")


NOISE = torch.randint(0, 256, (40, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "pictures",
    [NOISE, NOISE.float(), NOISE.numpy(), TensorDataset(NOISE, torch.zeros(40)), NOISE[:, :1], NOISE[:, :, :30, :30]],
)
def test_predictions_are_pictures(pictures: Any) -> None:
    page = seen(said_of(40, pictures))
    assert page.counts["img"] == page.counts["figure"] == TILES
    assert "and 10 more" in page.text and EVIL in page.text


@pytest.mark.parametrize("pictures", [None, Broken(), NOISE[:3], iter(()), "four", NOISE[:4, 0, 0]])
def test_predictions_without_pictures_are_a_table(pictures: object) -> None:
    page = seen(said_of(4, pictures))
    assert page.counts.get("img", 0) == 0 and page.counts["tr"] == 5
    assert seen(said_of(0, None)).counts["tr"] == 1


class Flat(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float().flatten(1)[:, :3]


def test_predict_knows_the_pictures_it_was_asked() -> None:
    images = torch.rand(5, 1, 4, 4)
    labels = torch.zeros(5, dtype=torch.int64)
    dataset = TensorDataset(images, labels)
    stored = ImageSet(labels, ("a", "b", "c"), tuple("vwxyz"), (0.5,), (0.5,), images=(images * 255).byte())
    for data in (images, images.numpy(), (images, labels), [images, labels], dataset, stored):
        said = sn.predict(Flat(), data)
        assert seen(said).counts["img"] == 5
        assert "pictures" not in repr(said)
    assert sn.predict(Flat(), DataLoader(dataset, batch_size=2)).pictures is None


def test_a_range_test_is_a_chart() -> None:
    lrs = tuple(10.0 ** (k / 10 - 6) for k in range(60))
    losses = tuple(2.3 if k < 30 else 1.0 if k < 50 else 1e6 for k in range(60))
    page = seen(sn.LRCurve(lrs, losses, 1e-3))
    assert page.counts["svg"] == 1 and "suggestion 0.001" in page.text and "1e+06" not in page.text
    assert "1e-4" in page.text
    seen(sn.LRCurve((), (), 0.1))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.9991, 0.9994), (-3, 7), (1, 1), (1e-9, 2e-9), (0, 12345678)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 6
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in found)
    assert np.allclose(np.diff(found), np.diff(found)[:1]) or len(found) == 1


def test_predictions_of_files_are_the_files(tmp_path: Any) -> None:
    from PIL import Image

    for name, shade in (("a.png", 0), ("b.png", 128), ("c.png", 255)):
        Image.new("L", (32, 32), shade).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    net = sn.lenet5()
    net.data_facts = DataFacts(tuple("0123456789"), 1, (32, 32), (0.5,), (0.5,))
    with pytest.warns(UserWarning, match=r"broken\.png"):
        said = sn.predict(net, tmp_path)
    assert len(said) == 3 and seen(said).counts["img"] == 3
    assert seen(sn.predict(net, [Image.new("L", (32, 32))] * 2)).counts["img"] == 2
    assert seen(sn.predict(net, torch.zeros(1, 32, 32, dtype=torch.uint8))).counts["img"] == 1


def test_a_history_is_a_sequence_of_rows() -> None:
    rows: list[Any] = [{"epoch": number, "loss": 1.0 / number, "accuracy": 0.5} for number in (1, 2, 3)]
    history = History(rows)
    assert [history[place] for place in (0, -1, 2, -3)] == [rows[0], rows[2], rows[2], rows[0]]
    for place in (3, -4):
        with pytest.raises(IndexError, match=f"the place of one of 3 rows; got {place}"):
            history[place]
    with pytest.raises(ValueError, match="a column of epoch, loss, accuracy; got True"):
        history[True]
