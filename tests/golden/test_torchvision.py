"""With torchvision's state dict the nets say what torchvision's say, and every name is at its place."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

import smallnets as sn

RESNEXT = {"groups": 32, "width_per_group": 4}
CASES: list[tuple[str, str, dict[str, object]]] = [
    ("alexnet", "alexnet", {}),
    *((f"vgg{depth}", f"vgg{depth}", {}) for depth in (11, 13, 16, 19)),
    *((f"vgg{depth}_bn", f"vgg{depth}", {"batch_norm": True}) for depth in (11, 13, 16, 19)),
    *((f"resnet{depth}", f"resnet{depth}", {}) for depth in (18, 34, 50, 101, 152)),
    ("resnext50_32x4d", "resnet50", RESNEXT),
    ("wide_resnet50_2", "resnet50", {"width_per_group": 128}),
]


def plausible(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Values for a state dict on meta: random, of a size that keeps the outputs near 1."""
    noise = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    values: dict[str, Tensor] = {}
    for name, tensor in state.items():
        count = tensor.numel()
        drawn = noise.repeat(count // len(noise) + 1)[:count].view(tensor.shape)
        if tensor.dim() > 1:
            drawn = drawn * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            drawn = drawn.abs() + 1.0
        elif name.endswith("num_batches_tracked"):
            drawn = torch.tensor(7)
        else:
            drawn = drawn * 0.1 + (0.5 if name.endswith("weight") else 0.0)
        values[name] = drawn
    return values


@pytest.mark.parametrize(("theirs", "ours", "options"), CASES, ids=[case[0] for case in CASES])
def test_same_names_in_the_same_order_and_the_same_outputs(theirs: str, ours: str, options: dict[str, object]) -> None:
    with torch.device("meta"):
        reference: nn.Module = getattr(models, theirs)()
        net = sn.build(ours, **options)
    assert list(net.state_dict()) == list(reference.state_dict())
    state = plausible(reference.state_dict())
    for model in (reference, net):
        model.load_state_dict(state, assign=True)
        model.eval()
    x = torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(x)
        assert 1e-3 < expected.abs().max() < 1e3
        torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-6)


def test_one_seed_starts_alexnet_as_torchvisions() -> None:
    torch.manual_seed(3)
    reference = models.alexnet().state_dict()
    torch.manual_seed(3)
    net = sn.alexnet().state_dict()
    assert all(torch.equal(net[name], tensor) for name, tensor in reference.items())


def test_resnets_start_from_torchvisions_distributions() -> None:
    torch.manual_seed(3)
    reference, net = models.resnet50().state_dict(), sn.resnet50().state_dict()
    for name, theirs in reference.items():
        ours = net[name].float()
        if (theirs.dim() == 1 and name != "fc.bias") or theirs.dim() == 0:
            assert torch.equal(ours, theirs.float()), name
        else:
            spread = theirs.std().item()
            assert ours.std().item() == pytest.approx(spread, rel=0.05), name
            assert abs(ours.mean().item()) < 6 * spread / ours.numel() ** 0.5, name
            shapes = [(tensor.abs().mean() / tensor.std()).item() for tensor in (ours, theirs)]  # normal or uniform
            assert shapes[0] == pytest.approx(shapes[1], rel=0.05), name


def test_dilated_resnets_are_torchvisions() -> None:
    with torch.device("meta"):
        reference = models.resnet50(replace_stride_with_dilation=[False, True, True])
        net = sn.resnet50(dilate=(False, True, True))
    state = plausible(reference.state_dict())
    for model in (reference, net):
        model.load_state_dict(state, assign=True)
        model.eval()
    x = torch.randn(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(net(x), reference(x), rtol=0, atol=1e-6)


def test_zero_init_residual_is_torchvisions() -> None:
    reference = models.resnet18(zero_init_residual=True)
    net = sn.resnet18(zero_init_residual=True)
    zero = [path for path, parameter in reference.named_parameters() if not parameter.any() and "weight" in path]
    assert zero == [path for path, parameter in net.named_parameters() if not parameter.any() and "weight" in path]
