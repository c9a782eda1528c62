"""Weights are drawn once, as said; nothing is drawn on the meta device."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import smallnets as sn
from smallnets.weights import Uninitialised
from zoo_cases import on_meta


@pytest.mark.parametrize("name", ["alexnet", "convnet3", "lenet5", "resnet18", "resnet20", "resnet50_layer4", "vgg11"])
def test_no_weight_is_drawn_twice(name: str) -> None:
    drawn: Counter[int] = Counter()

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func.overloadpacket in (torch.ops.aten.normal_, torch.ops.aten.uniform_):
                drawn[args[0].data_ptr()] += 1
            return func(*args, **(kwargs or {}))

    with Count():
        net = sn.build(name, **({"stem": "cifar"} if name in ("alexnet", "resnet18") else {}))
    weights = {parameter.data_ptr() for parameter in net.parameters() if parameter.dim() > 1}
    assert weights <= set(drawn)
    assert set(drawn.values()) == {1}


def test_the_draws_are_those_of_the_papers() -> None:
    torch.manual_seed(0)
    conv = sn.resnet18(stem="cifar").get_submodule("layer3.0.conv1")  # 128 -> 256 channels, drawn by fan-out
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)

    vgg = sn.vgg11(head="compact")
    conv = vgg.features[8]
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    assert not conv.bias.any()
    linear = vgg.classifier[1]
    assert isinstance(linear, nn.Linear)
    assert linear.weight.abs().max().item() == pytest.approx(1 / math.sqrt(512), rel=0.01)  # PyTorch's

    layer4 = sn.resnet50_layer4()
    conv = layer4.get_submodule("layer4.0.conv2")
    assert isinstance(conv, nn.Conv2d)
    bound = math.sqrt(6 / (9 * 256 + 9 * 256))
    assert conv.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert layer4.fc.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 1034), rel=0.01)
    assert not layer4.fc.bias.any()
    assert layer4.reset_classifier(40).fc.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 1064), rel=0.01)


def test_imagenet_head_is_drawn_as_the_paper_says() -> None:
    torch.manual_seed(0)
    top = sn.vgg([8, "M"], head="imagenet").classifier[6]
    assert isinstance(top, nn.Linear)
    assert top.weight.std().item() == pytest.approx(0.01, rel=0.01)


def scales(net: sn.ResNet) -> set[float]:
    """Where the last norms of the blocks start."""
    return {
        value for path, weight in net.named_parameters() if path.endswith("bn2.weight") for value in weight.tolist()
    }


@torch.no_grad()
def test_resnet1202_alone_starts_its_blocks_small_and_only_where_it_must() -> None:
    """Its docstring's deviation: without it 600 untrained blocks overflow in eval mode."""
    torch.manual_seed(0)
    net, x = sn.resnet1202().eval(), torch.randn(1, 3, 32, 32)
    assert scales(net) == {torch.tensor(600**-0.5).item()}
    assert net(x).isfinite().all()
    for path, weight in net.named_parameters():
        if path.endswith("bn2.weight"):
            weight.fill_(1.0)
    assert not net(x).isfinite().all()
    for other in (sn.resnet110(), sn.resnet1202(residual=False), sn.resnet1202(norm="group")):
        assert scales(other) == {1.0}
    assert other.eval()(x).isfinite().all()  # a group norm holds the map in eval mode too


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet56", "resnet50_layer4"])
def test_meta_builds_equal_real_ones(name: str) -> None:
    """Repeated blocks are copied on meta; the copies must be whole."""
    meta, real = on_meta(name), sn.build(name)
    assert str(meta) == str(real)
    for (path, a), (other, b) in zip(meta.state_dict().items(), real.state_dict().items(), strict=True):
        assert (path, a.shape, a.dtype, a.is_meta) == (other, b.shape, b.dtype, True)
    ids = [id(thing) for thing in (*meta.modules(), *meta.parameters(), *meta.buffers())]
    assert len(ids) == len(set(ids))
    values = [value for module in meta.modules() for value in vars(module).values()]
    hooks = [id(value) for value in values if isinstance(value, dict | set)]
    assert len(hooks) == len(set(hooks))


def test_uninitialised_builds_keep_real_buffers_in_every_block() -> None:
    """With ``weights=`` parameters are made without memory, but a buffer that a file lacks must be real."""
    with Uninitialised():
        net = sn.resnet20()
    assert all(parameter.is_meta for parameter in net.parameters())
    assert not any(buffer.is_meta for buffer in net.buffers())


def test_meta_build_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    on_meta("resnet50_layer4")
    assert torch.equal(torch.get_rng_state(), before)


class Computed(TorchDispatchMode):
    """Collects what is done to real numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and not result.is_meta:
            self.found.append(str(func))
        return result


def test_meta_builds_compute_nothing() -> None:
    with Computed() as meta:
        on_meta("resnet152")
    with Computed() as real:
        sn.lenet5()
    assert meta.found == [] and real.found != []
