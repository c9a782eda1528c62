"""What the tests over the registry share: small inputs, dear nets, counting."""

import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets.models.build import entry

NETS = sn.list_models()

# One depth a family for the dear checks in `make test`; all nets have them in `make test-all`.
ONE_A_FAMILY = ("lenet5", "convnet3", "alexnet", "vgg11", "resnet18", "resnet20", "resnet50_layer4")

# The same layers under narrow linear ones, whose full width only costs time; `make test-all` takes the full width too.
NARROW: dict[str, dict[str, object]] = {
    "alexnet": {"hidden": (64, 64)},
    **{name: {"head": sn.VGGHead(pool=7, hidden=(64, 64))} for name in NETS if name.startswith("vgg")},
}


def free_size(name: str) -> bool:
    """Whether the net takes any picture size, as nets with an adaptive or global pool do."""
    return name not in ("lenet5", "convnet3")


def small_side(name: str) -> int:
    """A side that leaves the last map at least 2x2, or the only side that fits."""
    e = entry(name)
    if not free_size(name):
        return e.input_size[1]
    if name == "alexnet":
        return 95
    if name.startswith("vgg"):
        return 64
    return {224: 33, 32: 17 if name == "resnet50_layer4" else 5}[e.input_size[1]]


def pictures(name: str, n: int = 2, *, more: tuple[int, int] = (0, 0), channels: int | None = None) -> Tensor:
    """Random pictures of the net's small side; ``more`` pixels of height and width where the net allows."""
    side = small_side(name)
    height, width = (side + more[0], side + more[1]) if free_size(name) else (side, side)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, channels or entry(name).input_size[0], height, width, generator=generator)


def on_meta(name: str, **options: object) -> sn.Net:
    with torch.device("meta"):
        return sn.build(name, **options)


def device_for_shapes(name: str) -> str:
    """Where shapes are had cheapest: on meta, but for 1202 layers of little work and much abstract bookkeeping."""
    return "cpu" if name == "resnet1202" else "meta"


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, input_size: tuple[int, ...]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one input, counted call by call."""
    total = 0

    def add(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += output.numel() * module.weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()(torch.empty(1, *input_size, device=device))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
