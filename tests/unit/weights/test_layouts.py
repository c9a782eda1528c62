"""Checkpoints as other projects write them: each key set is built by hand, from the names in those projects' code."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import smallnets as sn

BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
Pairs = Iterator[tuple[str, str]]  # the other project's name, ours


def norm(theirs: str, ours: str) -> Pairs:
    for tail in BATCH_NORM:
        yield f"{theirs}.{tail}", f"{ours}.{tail}"


def linear(theirs: str, ours: str) -> Pairs:
    yield f"{theirs}.weight", f"{ours}.weight"
    yield f"{theirs}.bias", f"{ours}.bias"


def kuangliu_resnet18() -> Pairs:
    yield "conv1.weight", "conv1.weight"
    yield from norm("bn1", "bn1")
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            path = f"layer{stage}.{block}"
            for i in (1, 2):
                yield f"{path}.conv{i}.weight", f"{path}.conv{i}.weight"
                yield from norm(f"{path}.bn{i}", f"{path}.bn{i}")
            if block == 0 and stage > 1:
                yield f"{path}.shortcut.0.weight", f"{path}.downsample.0.weight"
                yield from norm(f"{path}.shortcut.1", f"{path}.downsample.1")
    yield from linear("linear", "fc")


def weiaicunzai_resnet18() -> Pairs:
    yield "conv1.0.weight", "conv1.weight"
    yield from norm("conv1.1", "bn1")
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            theirs, ours = f"conv{stage + 1}_x.{block}", f"layer{stage}.{block}"
            for i, at in ((1, 0), (2, 3)):
                yield f"{theirs}.residual_function.{at}.weight", f"{ours}.conv{i}.weight"
                yield from norm(f"{theirs}.residual_function.{at + 1}", f"{ours}.bn{i}")
            if block == 0 and stage > 1:
                yield f"{theirs}.shortcut.0.weight", f"{ours}.downsample.0.weight"
                yield from norm(f"{theirs}.shortcut.1", f"{ours}.downsample.1")
    yield from linear("fc", "fc")


def weiaicunzai_resnet50() -> Pairs:
    yield "conv1.0.weight", "conv1.weight"
    yield from norm("conv1.1", "bn1")
    for stage, depth in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(depth):
            theirs, ours = f"conv{stage + 1}_x.{block}", f"layer{stage}.{block}"
            for i, at in ((1, 0), (2, 3), (3, 6)):
                yield f"{theirs}.residual_function.{at}.weight", f"{ours}.conv{i}.weight"
                yield from norm(f"{theirs}.residual_function.{at + 1}", f"{ours}.bn{i}")
            if block == 0:
                yield f"{theirs}.shortcut.0.weight", f"{ours}.downsample.0.weight"
                yield from norm(f"{theirs}.shortcut.1", f"{ours}.downsample.1")
    yield from linear("fc", "fc")


def cifar_resnet20(head: str, shortcut: bool, prefix: str = "") -> Pairs:
    """akamaster's (head ``linear``, shortcuts without parameters) and chenyaofo's (``fc``, projections)."""
    yield f"{prefix}conv1.weight", "conv1.weight"
    yield from norm(f"{prefix}bn1", "bn1")
    for stage in (1, 2, 3):
        for block in (0, 1, 2):
            path = f"layer{stage}.{block}"
            for i in (1, 2):
                yield f"{prefix}{path}.conv{i}.weight", f"{path}.conv{i}.weight"
                yield from norm(f"{prefix}{path}.bn{i}", f"{path}.bn{i}")
            if shortcut and block == 0 and stage > 1:
                yield f"{prefix}{path}.downsample.0.weight", f"{path}.downsample.0.weight"
                yield from norm(f"{prefix}{path}.downsample.1", f"{path}.downsample.1")
    yield from linear(f"{prefix}{head}", "fc")


VGG11_BN = ((0, 1), (4, 5), (8, 9), (11, 12), (15, 16), (18, 19), (22, 23), (25, 26))  # convolution, batch norm


def vgg11_bn(features: str, head: tuple[tuple[str, str], ...]) -> Pairs:
    for conv, batch_norm in VGG11_BN:
        yield from linear(f"{features}.{conv}", f"features.{conv}")
        yield from norm(f"{features}.{batch_norm}", f"features.{batch_norm}")
    for theirs, ours in head:
        yield from linear(theirs, ours)


def alexnet(features: str, head: tuple[tuple[str, str], ...]) -> Pairs:
    for i in (0, 3, 6, 8, 10):
        yield from linear(f"{features}.{i}", f"features.{i}")
    for theirs, ours in head:
        yield from linear(theirs, ours)


THREE = tuple((f"classifier.{i}", f"classifier.{i}") for i in (0, 3, 6))
TWO_OF_512 = sn.VGGHead(hidden=(32, 32))
SLIM = {"num_classes": 10, "head": sn.VGGHead(hidden=(32, 32), dropout=0.0)}

LAYOUTS: list[tuple[str, Any, dict[str, Any], Pairs, str]] = [
    ("kuangliu resnet", sn.resnet18, {"stem": "cifar"}, kuangliu_resnet18(), "kuangliu's and akamaster's layout"),
    (
        "kuangliu vgg",
        sn.vgg11,
        {"batch_norm": True, "head": "linear"},
        vgg11_bn("features", (("classifier", "classifier.0"),)),
        "layers of the classifier matched in their order",
    ),
    (
        "akamaster",
        sn.resnet20,
        {},
        cifar_resnet20("linear", shortcut=False, prefix="module."),
        "module. dropped; kuangliu's and akamaster's layout",
    ),
    ("chenyaofo resnet", sn.resnet20, {"shortcut": "B"}, cifar_resnet20("fc", shortcut=True), ""),
    ("chenyaofo vgg", sn.vgg11, {"batch_norm": True, "head": TWO_OF_512}, vgg11_bn("features", THREE), ""),
    ("weiaicunzai resnet", sn.resnet18, {"stem": "cifar"}, weiaicunzai_resnet18(), "weiaicunzai's layout"),
    ("weiaicunzai resnet50", sn.resnet50, {"stem": "cifar"}, weiaicunzai_resnet50(), "weiaicunzai's layout"),
    ("weiaicunzai vgg", sn.vgg11, {"batch_norm": True, **SLIM}, vgg11_bn("features", THREE), ""),
    (
        "bearpaw resnet",
        sn.resnet20,
        {"shortcut": "B"},
        cifar_resnet20("fc", shortcut=True, prefix="module."),
        "module. dropped",
    ),
    (
        "bearpaw vgg",
        sn.vgg11,
        {"batch_norm": True, "head": "linear"},
        vgg11_bn("features.module", (("classifier", "classifier.0"),)),
        "features.module. dropped; layers of the classifier matched in their order",
    ),
    (
        "bearpaw alexnet",
        sn.alexnet,
        {"stem": "cifar"},
        alexnet("features.module", (("classifier", "classifier.0"),)),
        "features.module. dropped; layers of the classifier matched in their order",
    ),
]


def trained(builder: Any, options: dict[str, Any]) -> Any:
    """A net whose running statistics are not those of a fresh one."""
    net = builder(**options)
    for name, value in net.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_()
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("num_batches_tracked"):
            value.fill_(7)
    return net


def assert_same(net: torch.nn.Module, other: torch.nn.Module) -> None:
    mine, theirs = net.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(mine[name], value), name


@pytest.mark.parametrize(("builder", "options", "pairs", "note"), [x[1:] for x in LAYOUTS], ids=[x[0] for x in LAYOUTS])
def test_a_layout_is_recognised_and_said(builder: Any, options: dict[str, Any], pairs: Pairs, note: str) -> None:
    net = trained(builder, options)
    state = net.state_dict()
    foreign = {theirs: state.pop(ours) for theirs, ours in pairs}
    assert not state  # the hand-built names cover the whole net
    other = builder(**options)
    line = sn.load_weights(other, foreign)
    assert line == "; ".join(
        [f"{builder.__name__}: {len(foreign)} entries from the state dict", *([note] if note else [])]
    )
    assert_same(other, net)


def test_timm_keeps_the_hidden_layers_of_vgg_as_convolutions() -> None:
    net = trained(sn.vgg11, {"batch_norm": True, "num_classes": 10, "head": sn.VGGHead(pool=7, hidden=(16, 16))})
    state = net.state_dict()
    head = (("pre_logits.fc1", "classifier.0"), ("pre_logits.fc2", "classifier.3"), ("head.fc", "classifier.6"))
    foreign = {theirs: state.pop(ours) for theirs, ours in vgg11_bn("features", head)}
    assert not state
    foreign["pre_logits.fc1.weight"] = foreign["pre_logits.fc1.weight"].view(16, 512, 7, 7)
    foreign["pre_logits.fc2.weight"] = foreign["pre_logits.fc2.weight"].view(16, 16, 1, 1)
    other = sn.build(**net.config)
    assert sn.load_weights(other, foreign).endswith("; timm's layout")
    assert_same(other, net)


@pytest.mark.parametrize(
    ("name", "options"),
    [("alexnet", {}), ("vgg11", {}), ("vgg16", {"batch_norm": True}), ("resnet18", {}), ("resnet50", {})],
)
def test_names_and_shapes_are_torchvisions(name: str, options: dict[str, Any]) -> None:
    from torchvision import models

    with torch.device("meta"):
        theirs = getattr(models, name + ("_bn" if options else ""))().state_dict()
        ours = sn.build(name, **options).state_dict()
    assert [(key, value.shape) for key, value in theirs.items()] == [(key, value.shape) for key, value in ours.items()]


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "a.b."]
)
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "net", "model_state_dict"])
def test_prefixes_and_wrappers_in_every_combination(prefix: str, wrapper: str | None) -> None:
    net = trained(sn.convnet3, {})
    content: dict[str, Any] = {f"{prefix}{name}": value for name, value in net.state_dict().items()}
    if wrapper:
        optimizer = torch.optim.Adam(net.parameters()).state_dict()
        content = {"epoch": 3, "optimizer": optimizer, wrapper: content, "best_acc": 93.1}
    other = sn.convnet3()
    line = sn.load_weights(other, content)
    assert_same(other, net)
    assert f"{'_orig_mod' if '_orig_mod' in prefix else prefix.split('.')[0]}." in line
    assert (f"taken out of {wrapper!r}" in line) == (wrapper is not None)


def test_plain_weights_have_nothing_to_be_said(caplog: pytest.LogCaptureFixture) -> None:
    net = sn.lenet5()
    assert sn.load_weights(net, sn.lenet5().state_dict()) == "lenet5: 10 entries from the state dict"
    assert not caplog.records


def test_what_was_recognised_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    net = sn.lenet5()
    line = sn.load_weights(net, {f"module.{name}": value for name, value in net.state_dict().items()})
    assert [record.getMessage() for record in caplog.records] == [line]


def test_old_files_without_counters_and_profiled_files_with_more_of_them_fit() -> None:
    net = trained(sn.resnet20, {})
    state: dict[str, Tensor] = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    state |= {"total_ops": torch.zeros(1), "layer1.0.conv1.total_params": torch.zeros(1)}
    other = sn.resnet20(weights=state)
    net.load_state_dict({k: torch.zeros_like(v) for k, v in net.state_dict().items() if "tracked" in k}, strict=False)
    assert_same(other, net)


def test_a_shortcut_of_another_kind_is_named() -> None:
    foreign = {
        theirs: sn.resnet20(shortcut="B").state_dict()[ours] for theirs, ours in cifar_resnet20("fc", shortcut=True)
    }
    with pytest.raises(sn.WeightsError, match="The shortcuts differ: build the net with the shortcut of the file"):
        sn.load_weights(sn.resnet20(), foreign)


def test_what_stands_beside_the_net_in_a_larger_module_is_left_out_and_said() -> None:
    net = sn.resnet20()
    larger = {f"model.net.{name}": value for name, value in net.state_dict().items()}
    line = sn.load_weights(sn.resnet20(), {"state_dict": larger | {"criterion.weight": torch.ones(10)}})
    assert line.endswith("taken out of 'state_dict'; model.net. dropped, 1 entries beside it left out")
    del larger["model.net.fc.bias"]
    with pytest.raises(sn.WeightsError, match="Nothing was loaded"):
        sn.load_weights(sn.resnet20(), larger | {"criterion.weight": torch.ones(10)})


def test_an_averaged_model_is_recognised() -> None:
    net = trained(sn.resnet20, {})
    other = sn.resnet20()
    assert sn.load_weights(other, torch.optim.swa_utils.AveragedModel(net).state_dict()).endswith("; module. dropped")
    assert_same(other, net)
