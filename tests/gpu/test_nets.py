"""Every net on the device computes what it computes on the CPU: judged by float64, beside the CPU's own float32."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import smallnets as sn
from zoo_cases import NARROW, NETS, pictures

pytestmark = pytest.mark.gpu
SLACK = 10.0  # times the CPU's own distance from float64, which rounding in another order may take
LITTLE = 1e-4  # cuDNN's transforms (Winograd, FFT; for 5x5 kernels, too) round more coarsely; TF32 is beyond, at 1e-3
# A unit within rounding of 0, or two within rounding of each other in a pool, send the gradient another way: on a CPU too,
# by 1e-4 to 8e-3 of it when the order of memory is changed (vgg11, vgg16, vgg19, resnet50_layer4).
GATES = 3e-2


def results(net: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits in train mode, and all gradients as one vector; in float64 on the CPU."""
    net.zero_grad()
    logits = net(x)
    F.cross_entropy(logits, labels).backward()
    gradients = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    return logits.detach().cpu().double(), gradients.cpu().double()


def distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm().clamp(min=1e-30))


def still(net: nn.Module) -> nn.Module:
    """Without dropout, whose masks differ by device."""
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net.train()


def without_gates(net: nn.Module) -> nn.Module:
    """With smooth functions where rounding could flip a ReLU or a max pool."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
            elif isinstance(child, nn.MaxPool2d):
                size, stride, padding = child.kernel_size, child.stride, child.padding
                setattr(module, name, nn.AvgPool2d(size, stride, padding, ceil_mode=child.ceil_mode))
    return net


@pytest.mark.parametrize("smooth", [False, True], ids=["as built", "smooth"])
@pytest.mark.parametrize("name", [name for name in NETS if name != "resnet1202"])
def test_a_net_forward_and_backward_is_the_cpus(device: str, name: str, smooth: bool) -> None:
    torch.manual_seed(0)
    net = still(sn.build(name, num_classes=10, **NARROW.get(name, {})))
    if smooth:
        net = without_gates(net)
    x, labels = pictures(name, 4), torch.arange(4)
    exact = results(copy.deepcopy(net).double(), x.double(), labels)
    here = results(copy.deepcopy(net), x, labels)
    there = results(net.to(device), x.to(device), labels.to(device))
    for what, found, cpu, wanted in zip(("logits", "gradients"), there, here, exact, strict=True):
        limit = SLACK * distance(cpu, wanted) + (GATES if what == "gradients" and not smooth else LITTLE)
        assert distance(found, wanted) < limit, f"{what}: {distance(found, wanted):.2e}, at most {limit:.2e}"


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_a_net_in_half_precision_is_finite_and_near(device: str, name: str, precision: torch.dtype) -> None:
    if device == "cpu" and name not in ("lenet5", "convnet3", "resnet20"):
        pytest.skip("dear on a CPU")
    torch.manual_seed(0)
    net = still(sn.build(name, num_classes=10, **NARROW.get(name, {}))).to(device)
    x, labels = pictures(name, 8).to(device), (torch.arange(8) % 10).to(device)
    plain = net(x).float()
    with torch.no_grad(), torch.autocast("cpu", precision):  # deep nets that were not trained: 0.4 to 0.7 in bf16
        wanted = copy.deepcopy(net).cpu()(x.cpu())
    limit = 0.1 + 2 * distance(wanted.double(), plain.detach().cpu().double())
    with torch.autocast(device, precision):
        logits = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    loss = F.cross_entropy(logits.float(), labels)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert torch.isfinite(loss)
    if name != "resnet1202":  # rounding adds up over its layers
        assert distance(logits.detach().double(), plain.detach().double()) < limit
