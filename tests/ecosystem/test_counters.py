"""The counters that others use say of our nets what ``summarize`` says, and of torchvision's twins the same."""

import io
from contextlib import redirect_stdout
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import smallnets as sn

pytestmark = pytest.mark.filterwarnings("ignore")

# Nets whose every multiplication is in a convolution or a linear layer, so that all counters can agree.
CASES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("lenet5", {}, (1, 32, 32)),
    ("convnet3", {}, (3, 32, 32)),
    ("alexnet", {}, (3, 224, 224)),
    ("vgg11", {}, (3, 64, 64)),
    ("vgg16", {"batch_norm": True}, (3, 64, 64)),
    ("resnet18", {}, (3, 64, 64)),
    ("resnet20", {}, (3, 32, 32)),
    ("resnet50", {}, (3, 64, 64)),
    ("resnet50_layer4", {}, (3, 32, 32)),
]
each = pytest.mark.parametrize(("name", "options", "size"), CASES, ids=[name for name, _, _ in CASES])


def twin(name: str, options: dict[str, Any]) -> nn.Module | None:
    """Torchvision's, where it has the net."""
    if name not in ("alexnet", "vgg11", "vgg16", "resnet18", "resnet50"):
        return None
    make = getattr(torchvision.models, f"{name}_bn" if options else name)
    model: nn.Module = make().eval()
    return model


def totals(net: nn.Module, size: tuple[int, int, int]) -> tuple[int, int]:
    found = sn.summarize(net, size).to_dict()["totals"]
    return found["params"], found["macs"]


@each
def test_thop(name: str, options: dict[str, Any], size: tuple[int, int, int]) -> None:
    thop = pytest.importorskip("thop")
    net = sn.build(name, **options).eval()
    for model in (net, twin(name, options)):
        if model is not None:
            # It adds a norm's and a pool's operations to the MACs; the hooks of those are left out.
            nothing = {kind: lambda *_: None for kind in (nn.BatchNorm2d, nn.AdaptiveAvgPool2d, nn.AvgPool2d)}
            macs, params = thop.profile(model, (torch.zeros(1, *size),), custom_ops=nothing, verbose=False)
            expected = totals(net, size)
            norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
            assert (params, macs) in {(expected[0], expected[1]), (expected[0] - norms, expected[1])}


@each
def test_fvcore(name: str, options: dict[str, Any], size: tuple[int, int, int]) -> None:
    fvcore = pytest.importorskip("fvcore.nn")
    net = sn.build(name, **options).eval()
    params, macs = totals(net, size)
    for model in (net, twin(name, options)):
        if model is not None:
            analysis = fvcore.FlopCountAnalysis(model, torch.zeros(1, *size))
            by_operator = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
            assert by_operator["conv"] + by_operator["linear"] == macs
            assert fvcore.parameter_count(model)[""] == params


@each
def test_torchinfo(name: str, options: dict[str, Any], size: tuple[int, int, int]) -> None:
    torchinfo = pytest.importorskip("torchinfo")
    net = sn.build(name, **options).eval()
    params, _ = totals(net, size)
    seen = torchinfo.summary(net, (1, *size), verbose=0)
    assert seen.total_params == params
    other = twin(name, options)
    if other is not None:
        theirs = torchinfo.summary(other, (1, *size), verbose=0)
        assert (seen.total_mult_adds, seen.total_params) == (theirs.total_mult_adds, theirs.total_params)


@each
def test_ptflops(name: str, options: dict[str, Any], size: tuple[int, int, int]) -> None:
    ptflops = pytest.importorskip("ptflops")
    net = sn.build(name, **options).eval()
    params, macs = totals(net, size)

    def count(model: nn.Module) -> tuple[float, float]:
        with redirect_stdout(io.StringIO()):
            found: tuple[float, float] = ptflops.get_model_complexity_info(
                model, size, as_strings=False, print_per_layer_stat=False, backend="pytorch", verbose=False
            )
        return found

    seen = count(net)
    assert seen[1] == params
    assert macs <= seen[0] <= 1.15 * macs  # it adds biases, norms, ReLUs and pools
    other = twin(name, options)
    if other is not None:
        assert seen == count(other)
