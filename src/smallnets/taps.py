"""Where a value comes out of a net: the net as a graph of its layers, and what a VGG's layers are called.

The names are the paper's and everyone's since: conv1_1 ... relu5_4, pool1 ... pool5, fc6 ... fc8. ``conv4_3`` is the
value before its ReLU (behind the batch norm, where there is one), ``relu4_3`` the value after.
"""

from typing import NamedTuple

from torch import fx, nn

from .errors import OptionError, message
from .models.vgg import VGG


def check_module(who: str, given: object) -> None:
    """Refuse what is no net.

    Raises:
        OptionError: Naming what it is.
    """
    if not isinstance(given, nn.Module):
        got = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        raise OptionError(message(who, "a torch.nn.Module", got))


class LayerTracer(fx.Tracer):
    """Follows a forward pass down to the layers without children and notes which node each module's output is.

    Attributes:
        outputs: The nodes by the path of the module that made them, in the order of the calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())

    def call_module(self, m: nn.Module, forward: object, args: object, kwargs: object) -> object:
        output = super().call_module(m, forward, args, kwargs)  # type: ignore[arg-type]  # pyright: ignore
        if isinstance(output, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(output.node)
        return output


def trace(net: nn.Module) -> LayerTracer:
    """The net's graph, as ``.graph``, and its modules' outputs."""
    tracer = LayerTracer()
    tracer.graph = tracer.trace(net)
    return tracer


class Tap(NamedTuple):
    """The layer whose output a name means, its channels, and its stride in input pixels (0 for a vector)."""

    path: str
    channels: int
    stride: int


def taps(net: VGG) -> dict[str, Tap]:
    """Every name of the net's layers, from the input on."""
    found: dict[str, Tap] = {}
    block, number, channels, stride = 1, 0, net.input_size[0], 1
    for i, layer in enumerate(net.features):
        path = f"features.{i}"
        if isinstance(layer, nn.Conv2d):
            number, channels = number + 1, layer.out_channels
            found[f"conv{block}_{number}"] = Tap(path, channels, stride)
        elif isinstance(layer, nn.BatchNorm2d):
            found[f"conv{block}_{number}"] = Tap(path, channels, stride)
        elif isinstance(layer, nn.ReLU):
            found[f"relu{block}_{number}"] = Tap(path, channels, stride)
        elif isinstance(layer, nn.MaxPool2d):
            stride *= 2
            found[f"pool{block}"] = Tap(path, channels, stride)
            block, number = block + 1, 0
    number = 5  # the paper's five blocks come first
    for i, layer in enumerate(net.classifier):
        path = f"classifier.{i}"
        if isinstance(layer, nn.Linear):
            number, channels = number + 1, layer.out_features
        if isinstance(layer, nn.Linear | nn.BatchNorm1d):
            found[f"fc{number}"] = Tap(path, channels, 0)
        elif isinstance(layer, nn.ReLU):
            found[f"relu{number}"] = Tap(path, channels, 0)
    return found


def convolutions(net: VGG) -> dict[str, tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions by name, each with the batch norm behind it."""
    found: dict[str, tuple[nn.Conv2d, nn.BatchNorm2d | None]] = {}
    for name, tap in taps(net).items():
        if name.startswith("conv"):
            layer = net.get_submodule(tap.path)
            before = net.features[int(tap.path.rpartition(".")[2]) - 1] if isinstance(layer, nn.BatchNorm2d) else layer
            assert isinstance(before, nn.Conv2d)
            found[name] = before, layer if isinstance(layer, nn.BatchNorm2d) else None
    return found
