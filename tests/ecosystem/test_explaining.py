"""Captum attributes through our nets, by gradients and layer by layer."""

from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn

pytestmark = pytest.mark.filterwarnings("ignore")
NETS: list[tuple[str, dict[str, Any], str]] = [
    ("lenet5", {}, "features.3"),
    ("convnet3", {}, "features.8"),
    ("alexnet", {"stem": "cifar"}, "features.10"),
    ("vgg11", {"head": "linear"}, "features.18"),
    ("resnet20", {}, "layer3"),
    ("resnet50_layer4", {}, "layer4"),
]


@pytest.mark.parametrize(("name", "options", "layer"), NETS, ids=[name for name, _, _ in NETS])
def test_integrated_gradients_and_grad_cam(name: str, options: dict[str, Any], layer: str) -> None:
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    net = sn.build(name, inplace=False, **options).eval()
    x = torch.randn(1, *net.input_size)
    found, gap = attr.IntegratedGradients(net).attribute(x, target=1, n_steps=200, return_convergence_delta=True)
    assert found.shape == x.shape
    spread = (net(x) - net(torch.zeros_like(x)))[0, 1].abs()
    assert gap.abs().item() <= 0.05 * spread.item() + 1e-3  # the attributions sum to the difference
    cam = attr.LayerGradCam(net, net.get_submodule(layer)).attribute(x, target=1)
    assert cam.shape[:2] == (1, 1) and cam.isfinite().all()


@pytest.mark.parametrize(("name", "options"), [(name, options) for name, options, _ in NETS if "resnet" not in name])
def test_layerwise_relevance(name: str, options: dict[str, Any]) -> None:
    """Residual nets use a ReLU twice, which this method does not take, torchvision's neither."""
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    net = sn.build(name, inplace=False, **options).eval()
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Identity):
            module.rule = rules.IdentityRule()
    x = torch.randn(1, *net.input_size)
    assert attr.LRP(net).attribute(x, target=1).isfinite().all()
