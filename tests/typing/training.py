"""What a type checker knows of training and measuring; what it must refuse stands behind an ignore."""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import smallnets as sn
from smallnets.data import load
from smallnets.training.records import Row

net = sn.lenet5()
digits = load("digits")
images, labels = torch.zeros(4, 1, 32, 32), torch.arange(4)
dataset: Dataset[tuple[Tensor, ...]] = TensorDataset(images, labels)


def callback(row: Row) -> bool:
    assert_type(row["epoch"], int)
    assert_type(row["val_loss"], float | None)
    return row["loss"] < 0.1


history = sn.fit(net, digits, digits, epochs=1, run_dir=Path("runs") / "one", callbacks=[callback], workers="auto")
sn.fit(net, (images, labels), run_dir="runs/two", workers=2, schedule="step(20, 1/3)", augment=lambda batch: batch)
sn.fit(net, (np.zeros((4, 1, 32, 32)), np.arange(4)), optimizer=torch.optim.Adam)
sn.fit(net, dataset, loss=nn.CrossEntropyLoss(), schedule=lambda step, total: 1 - step / total)
sn.fit(net, DataLoader(dataset), monitor="loss", optimizer="sgd", augment="none")

sn.fit(net, digits, optimizer="sdg")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, digits, augment="crops")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, digits, monitor="accuracies")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, digits, precision="fp8")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, digits, run_dir=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, "digits")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.fit(net, digits, lerning_rate=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

assert_type(history, sn.History)
assert_type(history.best, Row)
assert_type(history["loss"], Sequence[float])
assert_type(history["epoch"], Sequence[int])
assert_type(history[-1], Row)
assert_type(history["val_loss"], Sequence[float | None])
for each in history:
    assert_type(each, Row)

history.plot(ax=Figure().add_subplot())

metrics = sn.evaluate(net, (images, labels))
assert_type(metrics.to_dict(), dict[str, object])
assert_type(metrics.to_json("metrics.json", indent=2), str)
assert_type(metrics, sn.Metrics)
assert_type(metrics.plan.get("plain_accuracy"), float | None)
assert_type(sn.predict(net, images), sn.Predictions)
assert_type(sn.predict(net, [images, labels]), sn.Predictions)
assert_type(sn.find_lr(net, digits, augment="none").suggestion, float)
assert_type(sn.FitOptions().to_json(), dict[str, object])
