"""Every net of the registry is a backbone, and folds its batch norms."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn

NARROW: dict[str, dict[str, Any]] = {
    "alexnet": {"hidden": (64, 48)},
    **{name: {"head": "linear"} for name in ("vgg", "vgg11", "vgg13", "vgg16", "vgg19")},
}
DEAR = {"resnet101", "resnet110", "resnet152", "resnet1202"}
NETS = [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in sn.list_models()]
# Compiling and exporting takes seconds: one net of each kind always, the deeper ones among the dear tests.
KINDS = {"lenet5", "convnet3", "alexnet", "vgg11", "resnet18", "resnet20", "resnet50_layer4"}
TRACED = [pytest.param(name, marks=() if name in KINDS else pytest.mark.slow) for name in sn.list_models()]
# Every form of a family that computes something else.
FORMS = [
    ("alexnet", {"stem": "cifar"}),
    ("alexnet", {"variant": "2012", "hidden": (32,)}),
    ("convnet3", {"norm": "group"}),
    ("lenet5", {"variant": "1998"}),
    ("resnet18", {"stem": "cifar"}),
    ("resnet18", {"norm": "group", "stem": "cifar"}),
    ("resnet18", {"residual": False}),
    ("resnet18", {"shortcut": "A"}),
    ("resnet50", {"stem": "cifar", "stride_in": "1x1", "shortcut_bias": True}),
    ("resnet50", {"dilate": (False, True, True)}),
    ("resnet20", {"shortcut": "C"}),
    ("vgg11", {"batch_norm": True, "head": "compact"}),
    ("vgg11", {"cfg": "A-LRN", "head": "wide"}),
]


def trained(name: str, options: dict[str, Any]) -> sn.Net:
    """A net in eval mode whose batch norms do something, with small pictures where it takes them."""
    torch.manual_seed(0)
    net = sn.build(name, **options).eval()
    scale = 0.1 if name in DEAR else 1.0  # fixed statistics do not hold back what hundreds of blocks multiply
    for key, value in net.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5 * scale, 1.5 * scale)
            nn.init.normal_(layer.bias, 0, 0.2 * scale)
    return net


def picture(net: sn.Net, batch: int = 2) -> Tensor:
    channels, side, _ = net.input_size
    return torch.randn(batch, channels, min(side, 96), min(side, 96), generator=torch.Generator().manual_seed(1))


def check_pyramid(net: sn.Net) -> None:
    """The maps are those that hooks see, and channels and strides are exact."""
    seen: dict[str, Tensor] = {}
    handles = [
        net.get_submodule(stage.name).register_forward_hook(
            lambda _, __, output, name=stage.name: seen.update({name: output.clone()})
        )
        for stage in net.feature_info
    ]
    x = picture(net)
    logits = net(x)
    for handle in handles:
        handle.remove()
    pyramid = sn.feature_pyramid(net)
    maps = pyramid(x)
    assert isinstance(maps, OrderedDict)
    assert list(maps) == [stage.name for stage in net.feature_info] == list(pyramid.channels) == list(pyramid.strides)
    for name, value in maps.items():
        assert torch.equal(value, seen[name]), name
        assert value.shape[1] == pyramid.channels[name]
    assert torch.equal(net(x), logits)


def check_strides(net: sn.Net) -> None:
    """Adding one stride to the side of the picture adds one pixel to the side of the map."""
    pyramid = sn.feature_pyramid(net)
    x = picture(net, 1)
    for name, stride in pyramid.strides.items():
        larger = torch.zeros(1, x.shape[1], x.shape[2] + 4 * stride, x.shape[3] + 4 * stride)
        assert pyramid(larger)[name].shape[2] == pyramid(x)[name].shape[2] + 4, name


@pytest.mark.parametrize("name", NETS)
def test_feature_pyramid(name: str) -> None:
    net = trained(name, NARROW.get(name, {}))
    with torch.no_grad():
        check_pyramid(net)
        if not name.startswith(("lenet5", "convnet3")):  # which take their natural size only
            check_strides(net)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_feature_pyramid_of_every_form(name: str, options: dict[str, Any]) -> None:
    with torch.no_grad():
        check_pyramid(trained(name, options))


@pytest.mark.parametrize("name", TRACED)
def test_a_pyramid_passes_gradients_and_compiles_and_exports(name: str) -> None:
    net = trained(name, NARROW.get(name, {}))
    pyramid, x = sn.feature_pyramid(net), picture(net)
    sum(value.square().mean() for value in pyramid(x).values()).backward()
    first = next(net.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
    torch.compiler.reset()
    with torch.no_grad():
        compiled = torch.compile(pyramid, backend="eager", fullgraph=True)(x)
        exported = torch.export.export(pyramid, (x,)).module()(x)
        for key, value in pyramid(x).items():
            assert torch.equal(compiled[key], value)
            assert torch.equal(exported[key], value)


def check_fuse(net: sn.Net) -> None:
    x = picture(net)
    with torch.no_grad():
        expected = net(x)
        fused = sn.fuse(net)
        assert (fused(x) - expected).abs().max() <= 1e-4 * expected.abs().max()
        assert torch.equal(net(x), expected)
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in fused.modules())


@pytest.mark.parametrize("name", NETS)
def test_fuse(name: str) -> None:
    check_fuse(trained(name, NARROW.get(name, {})))


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_fuse_of_every_form(name: str, options: dict[str, Any]) -> None:
    check_fuse(trained(name, options))


@pytest.mark.parametrize("name", NETS)
def test_freezing_up_to_each_stage_and_learning_rates_cover_every_parameter(name: str) -> None:
    with torch.device("meta"):
        net = sn.build(name, **NARROW.get(name, {}))
    everything = {id(parameter) for parameter in net.parameters()}
    groups = sn.parameter_groups(net, 0.1, decay=0.5)
    assert [id(p) for group in groups for p in group["params"]] == [id(p) for p in net.parameters()]
    assert [group["lr"] for group in groups] == sorted(group["lr"] for group in groups)
    before = 0
    for stage in net.feature_info:
        sn.freeze(net, upto=stage.name)
        frozen = sum(not parameter.requires_grad for parameter in net.parameters())
        assert before < frozen < len(everything)
        before = frozen
    sn.freeze(net, upto=None)
    assert all(parameter.requires_grad for parameter in net.parameters())
