"""What the layers of a VGG are called in the paper and ever since: conv1_1 ... relu5_4, pool1 ... pool5, fc6 ... fc8.

``conv4_3`` is the value before its ReLU (behind the batch norm, where there is one), ``relu4_3`` the value after.
"""

from typing import NamedTuple

from torch import nn

from .vgg import VGG


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
