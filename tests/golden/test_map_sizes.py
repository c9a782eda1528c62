"""The maps of the published tables, layer by layer: (channels, side) behind each convolution and pool."""

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from zoo_cases import on_meta

LENET = [(6, 28), (6, 14), (16, 10), (16, 5)]
LENET_224 = [(16, 220), (16, 110), (32, 106), (32, 53)]
ALEXNET_2012 = [(96, 55), (96, 27), (256, 27), (256, 13), (384, 13), (384, 13), (256, 13), (256, 6)]
ALEXNET_256 = [(64, 63), (64, 31), (192, 31), (192, 15), (384, 15), (256, 15), (256, 15), (256, 7), (256, 6)]
CONVNET3 = [(32, 32), (32, 16), (64, 16), (64, 8), (128, 8), (128, 4)]


@pytest.mark.parametrize(
    ("name", "options", "side", "maps"),
    [
        ("lenet5", {}, 32, LENET),
        ("lenet5", {"variant": "wide", "in_channels": 3, "input_size": 224}, 224, LENET_224),
        ("alexnet", {"variant": "2012"}, 227, [*ALEXNET_2012, (256, 6)]),
        ("alexnet", {"hidden": (4096, 512), "num_classes": 2}, 256, ALEXNET_256),
        ("convnet3", {}, 32, CONVNET3),
    ],
)
def test_maps_of_the_tables(name: str, options: dict[str, object], side: int, maps: list[tuple[int, int]]) -> None:
    net = on_meta(name, **options).eval()
    seen: list[tuple[int, int]] = []

    def note(_module: nn.Module, _inputs: object, out: Tensor) -> None:
        assert out.shape[2] == out.shape[3]
        seen.append((out.shape[1], out.shape[2]))

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(note)
    net(torch.empty(1, net.input_size[0], side, side, device="meta"))
    assert seen == maps


def test_hidden_widths_of_the_tables() -> None:
    def widths(name: str, **options: object) -> list[int]:
        return [layer.out_features for layer in on_meta(name, **options).modules() if isinstance(layer, nn.Linear)]

    assert widths("lenet5") == [120, 84, 10]
    assert widths("lenet5", variant="wide", num_classes=2) == [512, 2]
    assert widths("alexnet", variant="2012") == [4096, 4096, 1000]
    assert widths("alexnet", hidden=(4096, 512), num_classes=2) == [4096, 512, 2]
    assert widths("convnet3") == [100, 50, 10]
    assert widths("vgg16", head="compact") == [512, 10]
    assert widths("vgg16", head="wide", num_classes=3) == [4096, 4096, 3]


def test_resnet50_layer4_block_by_block() -> None:
    """Its table: the last block of layer2 and of layer3 has the stride, on its first 1x1, with a projection."""
    net = on_meta("resnet50_layer4").eval()
    outputs: dict[str, tuple[int, int]] = {}
    for path, layer in net.named_modules():
        layer.register_forward_hook(
            lambda _m, _i, out, path=path: outputs.__setitem__(path, (out.shape[1], out.shape[-1]))
        )
    net(torch.empty(1, 3, 32, 32, device="meta"))
    assert (outputs["conv1"], outputs["maxpool"]) == ((64, 16), (64, 8))
    blocks = [outputs[f"layer2.{i}"] for i in range(3)]
    assert blocks == [(256, 8), (256, 8), (256, 4)]
    blocks = [outputs[f"layer3.{i}"] for i in range(4)]
    assert blocks == [(512, 4), (512, 4), (512, 4), (512, 2)]
    assert [outputs[f"layer4.{i}"] for i in range(6)] == [(1024, 2)] * 6
    assert outputs["avgpool"] == (1024, 1)
    strided = [path for path, layer in net.named_modules() if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)]
    assert strided == ["conv1", "layer2.2.conv1", "layer2.2.downsample.0", "layer3.3.conv1", "layer3.3.downsample.0"]
    projected = [path for path, _ in net.named_modules() if path.endswith("downsample")]
    assert projected == [
        f"{block}.downsample" for block in ("layer2.0", "layer2.2", "layer3.0", "layer3.3", "layer4.0")
    ]
    assert all(layer.bias is not None for layer in net.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(("stride_in", "strided"), [("3x3", "conv2"), ("1x1", "conv1")])
def test_the_stride_of_a_bottleneck(stride_in: str, strided: str) -> None:
    net = on_meta("resnet50", stride_in=stride_in)
    paths = [path for path, layer in net.named_modules() if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)]
    expected = [f"layer{stage}.0.{layer}" for stage in (2, 3, 4) for layer in (strided, "downsample.0")]
    assert paths == ["conv1", *expected]


def test_resnet_maps_of_table_1() -> None:
    """He et al. 2016, table 1: 112, 56, 28, 14, 7; section 4.2: 32, 16, 8."""
    net = on_meta("resnet50").eval()
    sides: list[int] = []
    for layer in (net.conv1, net.layer1, net.layer2, net.layer3, net.layer4):
        assert isinstance(layer, nn.Module)
        layer.register_forward_hook(lambda _m, _i, out: sides.append(out.shape[-1]))
    net(torch.empty(1, 3, 224, 224, device="meta"))
    assert sides == [112, 56, 28, 14, 7]
    x = torch.empty(1, 3, 32, 32)
    cifar = sn.resnet20().eval()
    x = cifar.relu(cifar.bn1(cifar.conv1(x)))
    for stage, shape in zip(("layer1", "layer2", "layer3"), ((16, 32), (32, 16), (64, 8)), strict=True):
        x = cifar.get_submodule(stage)(x)
        assert (x.shape[1], x.shape[2]) == shape
