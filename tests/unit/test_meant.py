"""A wrong call says what was meant; a net that cannot learn or compute is refused in one sentence."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import smallnets as sn
from smallnets.data import ImageSet
from smallnets.errors import message, nearest
from smallnets.training.history import History

X = torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 10
QUIET: dict[str, Any] = {"epochs": 1, "batch_size": 8, "progress": False, "deterministic": True}
CLASSES = tuple("abcdefghij")


def net(classes: int = 10, channels: int = 3) -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), *head)


def refused(call: Callable[[], object], *texts: str) -> None:
    with pytest.raises(sn.SmallnetsError) as caught:
        call()
    said = str(caught.value)
    assert all(text in said for text in texts), said
    assert len(said) < 300 and "\n" not in said and ".." not in said


def test_images_and_labels_are_a_pair() -> None:
    wanted = "fit(net, (images, labels))"
    refused(lambda: sn.fit(net(), X, Y, **QUIET), "got Tensor", wanted)  # type: ignore[arg-type]
    refused(lambda: sn.fit(net(), X.numpy(), Y.numpy(), **QUIET), "got ndarray", wanted)  # type: ignore[arg-type]
    refused(lambda: sn.evaluate(net(), X), "evaluate(net, (images, labels))")  # type: ignore[arg-type]
    refused(lambda: sn.find_lr(net(), X), "find_lr(net, (images, labels))")  # type: ignore[arg-type]
    refused(lambda: sn.fit(net(), (X, Y), X, **QUIET), "one pair")  # type: ignore[arg-type]


def test_a_name_is_to_be_loaded() -> None:
    for call in (sn.fit, sn.evaluate):
        refused(lambda call=call: call(net(), "digits"), "smallnets.data.load('digits')")


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_come_first(channels: int) -> None:
    turned = X[:, :channels].permute(0, 2, 3, 1).contiguous()
    for images in (turned, turned.permute(0, 2, 1, 3)):
        refused(lambda images=images: sn.predict(net(channels=channels), images), "images.permute(0, 3, 1, 2)")
        refused(lambda images=images: sn.fit(net(channels=channels), (images, Y), **QUIET), "permute(0, 3, 1, 2)")
    refused(lambda: sn.resnet20(in_channels=channels)(torch.zeros(2, 32, 32, channels)), "x.permute(0, 3, 1, 2)")
    refused(lambda: sn.resnet20(in_channels=3)(torch.zeros(2, 4, 32, 32)), "in_channels=4")


def test_usual_other_forms_of_images_and_labels() -> None:
    refused(lambda: sn.fit(net(channels=1), (X[:, 0], Y), **QUIET), "images[:, None]")
    refused(lambda: sn.fit(net(), (X, nn.functional.one_hot(Y, 10)), **QUIET), "labels.argmax(1)")
    refused(lambda: sn.fit(net(), (X, Y[:, None]), **QUIET), "labels[:, 0]")
    refused(lambda: sn.fit(net(), (X, Y.float()), **QUIET), "labels.long()")


@pytest.mark.parametrize("logits", [5, 9, 11, 20])
def test_as_many_logits_as_classes(logits: int) -> None:
    stored = ImageSet(Y, CLASSES, tuple(map(str, range(24))), (0.5,) * 3, (0.2,) * 3, images=(X * 255).byte())
    for call in (
        lambda: sn.fit(net(logits), stored, **QUIET),
        lambda: sn.evaluate(net(logits), stored),
        lambda: sn.predict(net(logits), stored),
    ):
        refused(call, f"expected 10 logits, one a class; got {logits}. Give the net 10 outputs.")


def test_nameless_classes_may_be_fewer() -> None:
    assert sn.evaluate(net(20), (X, Y)).n == 24
    assert sn.predict(net(20), X).probabilities.shape == (24, 20)


def made(kind: str) -> Any:
    if kind == "meta":
        with torch.device("meta"):
            return net()
    if kind == "partly meta":
        half = net()
        half[4] = nn.Linear(4, 10, device="meta")  # type: ignore[index]
        return half
    if kind == "inference":
        with torch.inference_mode():
            return net()
    if kind == "program":
        return torch.export.export(net().eval(), (X[:8],))
    if kind == "exported":
        return made("program").module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what it is about to drop
        if kind == "frozen":
            return torch.jit.freeze(torch.jit.script(net().eval()))
        return torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8)


@pytest.mark.parametrize(
    ("kind", "text", "advice"),
    [
        ("meta", "one on the meta device", "to_empty(device='cpu')"),
        ("partly meta", "one on the meta device", "to_empty(device='cpu')"),
        ("program", "an nn.Module; got <torch.export", "Give the net that it was made from."),
        ("exported", "got an exported one", "Give the net that it was made from."),
        ("frozen", "got a frozen one", "Give the net that it was made from."),
    ],
)
def test_nets_that_cannot_be_run(kind: str, text: str, advice: str) -> None:
    model = made(kind)
    refused(lambda: sn.fit(model, (X, Y), **QUIET), text, advice)
    refused(lambda: sn.evaluate(model, (X, Y)), text, advice)
    refused(lambda: sn.predict(model, X), text, advice)


@pytest.mark.parametrize(("kind", "text"), [("inference", "inference_mode"), ("quantised", "got a quantised one")])
def test_nets_that_cannot_learn(kind: str, text: str) -> None:
    model = made(kind)
    refused(lambda: sn.fit(model, (X, Y), **QUIET), text)
    if kind == "quantised":  # find_lr trains a copy, which is no inference tensor any more
        refused(lambda: sn.find_lr(model, (X, Y), device="cpu"), text)
    assert sn.evaluate(model, (X, Y)).n == 24


def test_a_sentence_ends_once() -> None:
    assert message("a", "b", "It failed.") == "a: expected b; got It failed."
    assert message("a", "b", ValueError("no (really).")) == "a: expected b; got no (really)."
    assert message("a", "b", "folder '..'") == "a: expected b; got folder '..'."
    assert message("a", "b", "mo…", "C.") == "a: expected b; got mo…. C."


def test_a_hint_is_another_word_and_of_use(tmp_path: Path) -> None:
    assert nearest("True", (True, False)) == "" and nearest("cat", ["cat", "cart"]) == "Did you mean 'cart'?"
    for name in ("mine.py", "mine.txt", "mind.safetensors"):
        (tmp_path / name).touch()
    for asked in ("mine.pt", "mine"):
        with pytest.raises(sn.WeightsError) as caught:
            sn.lenet5(weights=tmp_path / asked)
        assert "mine.py" not in str(caught.value) and "mine.txt" not in str(caught.value)
    with pytest.raises(sn.WeightsError, match=re.escape("Did you mean 'mind.safetensors'?")):
        sn.lenet5(weights=tmp_path / "mine.safetensors")


ROWS: Any = [
    {"epoch": k, "loss": 1 / k, "accuracy": 0.5, "val_loss": 2 / k, "val_accuracy": 0.25, "seconds": 1.0}
    for k in (1, 2)
]


def test_a_history_is_drawn_into_axes_of_ones_own(tmp_path: Path) -> None:
    figure = Figure()
    pair = figure.subplots(1, 2)
    assert History(ROWS).plot(ax=pair) is figure and len(figure.axes) == 2
    assert [axes.get_title(loc="left") for axes in pair] == ["Loss", "Accuracy"]
    for monitor, values in (("val_loss", [1.0, 0.5]), ("val_accuracy", [0.5, 0.5])):
        axes = Figure().add_subplot()
        drawn = History(ROWS, monitor).plot(tmp_path / "one.png", ax=axes)  # type: ignore[arg-type]
        assert drawn is axes.figure and list(axes.lines[0].get_ydata()) == values
    assert (tmp_path / "one.png").exists()
    for wrong in (3, "ax", [], figure.subplots(1, 3)):
        refused(lambda wrong=wrong: History(ROWS).plot(ax=wrong), "one of matplotlib's axes, or a pair of them")


def test_a_grid_names_pictures_without_a_label() -> None:
    said = sn.predict(net(), X[:3])
    said = sn.Predictions(("a/dog.jpg", "b/$x$.png", "c"), said.labels, said.probabilities, said.classes)
    grid = said.grid(X[:3])
    assert [axes.get_xlabel() for axes in grid.axes] == ["dog.jpg", r"\$x\$.png", "c"]
    grid.canvas.draw()
    labelled = ImageSet(Y[:3], CLASSES, tuple("abc"), (0.5,) * 3, (0.2,) * 3, images=(X[:3] * 255).byte())
    assert [axes.get_xlabel() for axes in said.grid(labelled).axes] == [""] * 3
