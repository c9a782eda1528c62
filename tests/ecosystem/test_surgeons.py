"""Tools that change nets: pruning by channels, private gradients, timm's helpers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn

pytestmark = pytest.mark.filterwarnings("ignore")
NETS: list[tuple[str, dict[str, Any]]] = [
    ("lenet5", {}),
    ("convnet3", {}),
    ("alexnet", {"stem": "cifar"}),
    ("vgg11", {"head": "compact", "batch_norm": True}),
    ("resnet18", {"stem": "cifar"}),
    ("resnet20", {"shortcut": "B"}),
    ("resnet50_layer4", {}),
]
each = pytest.mark.parametrize(("name", "options"), NETS, ids=[name for name, _ in NETS])


@each
def test_torch_pruning(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    pruning = pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    net = sn.build(name, **options).eval()
    x = torch.randn(2, *net.input_size)
    before = sum(parameter.numel() for parameter in net.parameters())
    pruner = pruning.pruner.MagnitudePruner(
        net,
        x,
        importance=pruning.importance.MagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=[net.get_classifier()],
    )
    pruner.step()
    assert sum(parameter.numel() for parameter in net.parameters()) < 0.6 * before
    expected = net(x)
    assert expected.shape == (2, net.num_classes)
    assert torch.equal(net.forward_head(net.forward_features(x)), expected)
    with pytest.raises(sn.WeightsError, match="expected a net as its builder makes it"):
        sn.save(net, tmp_path / "net.safetensors")
    torch.save(net, tmp_path / "net.pt")
    assert torch.equal(torch.load(tmp_path / "net.pt", weights_only=False)(x), expected)
    assert net.reset_classifier(3)(x).shape == (2, 3)
    with pytest.raises(sn.ShapeError, match=r"\(N, \d, "):
        net(torch.zeros(2, 7, *net.input_size[1:]))


@each
def test_opacus(name: str, options: dict[str, Any]) -> None:
    opacus = pytest.importorskip("opacus")
    if name.startswith(("convnet3", "resnet")):
        options = {**options, "norm": "group"}
    elif "batch_norm" in options:
        options = {"head": "linear"}
    torch.manual_seed(0)
    net = sn.build(name, inplace=False, **options)
    assert not opacus.validators.ModuleValidator.validate(net, strict=False)
    x = torch.randn(2, *net.input_size)
    samplewise = opacus.GradSampleModule(net, loss_reduction="sum")
    torch.manual_seed(1)
    samplewise(x).square().sum().backward()
    grads = {path: parameter.grad_sample.sum(dim=0) for path, parameter in net.named_parameters()}
    for path, parameter in net.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(grads[path], parameter.grad, rtol=1e-3, atol=1e-4 * parameter.grad.abs().max() + 1e-6), (
            path
        )


@each
def test_timms_helpers(name: str, options: dict[str, Any]) -> None:
    timm = pytest.importorskip("timm")
    pytest.importorskip("timm.optim")
    net = sn.build(name, **options).eval()
    x = torch.randn(1, *net.input_size)
    groups = timm.optim.param_groups_weight_decay(net, 0.1, no_weight_decay_list=net.no_weight_decay())
    undecayed = sum(len(group["params"]) for group in groups if group["weight_decay"] == 0)
    assert undecayed == len(net.no_weight_decay())
    average = timm.utils.ModelEmaV3(net)
    average.update(net)
    assert torch.allclose(average.module(x), net(x), atol=1e-5)
    assert isinstance(net.get_classifier(), nn.Linear)


@each
def test_torchao_pt2e(name: str, options: dict[str, Any]) -> None:
    pytest.importorskip("torchao")
    if name.startswith("resnet"):
        pytest.skip("its quantiser refuses a ReLU that is used twice, in torchvision's residual nets as in ours")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    torch.manual_seed(0)
    net = sn.build(name, **options).eval()
    x = torch.randn(4, *net.input_size)
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(net, (x,)).module(), quantizer)
    prepared(x)
    converted = convert_pt2e(prepared)
    wanted = sum(type(layer) in (nn.Conv2d, nn.Linear) for layer in net.modules())
    weights = [node for node in converted.graph.nodes if "dequantize_per_channel" in str(node.target)]
    assert len(weights) == wanted
    assert (converted(x) - net(x)).abs().max() <= 0.2 * net(x).abs().max()
