"""Published numbers, recomputed: parameters, multiply-accumulates, receptive fields, smallest sides."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

import smallnets as sn
from zoo_cases import count_macs, count_parameters, on_meta

TORCHVISION = "torchvision 0.21 to 0.29, num_params of its weights; MACs recomputed"
HE = "He et al. 2016, arXiv:1512.03385"
SIMONYAN = "Simonyan & Zisserman 2015, arXiv:1409.1556"
CIFAR = "recomputed from public CIFAR repositories"


@dataclass(frozen=True)
class Published:
    name: str
    options: dict[str, object]
    params: int
    source: str
    macs: int | None = None
    receptive_field: int | None = None
    min_side: int | None = None
    printed: str = field(default="", kw_only=True)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


BN = {"batch_norm": True}
LINEAR = {"batch_norm": True, "head": "linear"}
HIDDEN = {"batch_norm": True, "head": sn.VGGHead(hidden=(512, 512))}
TINY = {"stem": "cifar"}

IMAGENET = [
    Published("alexnet", {}, 61_100_840, TORCHVISION, 714_188_480, 195, 63),
    Published("alexnet", {"variant": "2012"}, 60_965_224, "Krizhevsky et al. 2012, figure 2", printed="60 million"),
    Published("vgg11", {}, 132_863_336, TORCHVISION, 7_609_090_048, 150, 32),
    Published("vgg11", BN, 132_868_840, TORCHVISION, 7_609_090_048),
    Published("vgg13", {}, 133_047_848, TORCHVISION, 11_308_466_176, 156, 32),
    Published("vgg13", BN, 133_053_736, TORCHVISION, 11_308_466_176),
    Published("vgg16", {"cfg": "C"}, 133_638_952, f"{SIMONYAN}, table 2", printed="134 million"),
    Published("vgg16", {}, 138_357_544, TORCHVISION, 15_470_264_320, 212, 32),
    Published("vgg16", BN, 138_365_992, TORCHVISION, 15_470_264_320),
    Published("vgg19", {}, 143_667_240, TORCHVISION, 19_632_062_464, 268, 32),
    Published("vgg19", BN, 143_678_248, TORCHVISION, 19_632_062_464),
    Published("resnet18", {}, 11_689_512, TORCHVISION, 1_814_073_344, 435, 1),
    Published("resnet34", {}, 21_797_672, TORCHVISION, 3_663_761_408, 899, 1),
    Published("resnet50", {}, 25_557_032, TORCHVISION, 4_089_184_256, 427, 1),
    Published("resnet50", {"stride_in": "1x1"}, 25_557_032, f"{HE}, table 1", None, 483),
    Published("resnet101", {}, 44_549_160, TORCHVISION, 7_801_405_440, 971, 1),
    Published("resnet152", {}, 60_192_808, TORCHVISION, 11_513_626_624, 1451, 1),
    Published("resnet50", {"groups": 32, "width_per_group": 4}, 25_028_904, f"{TORCHVISION} (resnext50_32x4d)"),
    Published("resnet50", {"width_per_group": 128}, 68_883_240, f"{TORCHVISION} (wide_resnet50_2)"),
    Published("resnet101", {"groups": 32, "width_per_group": 8}, 88_791_336, f"{TORCHVISION} (resnext101_32x8d)"),
]
SMALL = [
    Published("lenet5", {}, 61_706, "LeCun et al. 1998 with full C3 and plain pools", 416_520, min_side=32),
    Published("resnet20", {}, 269_722, f"{HE}, table 6", 40_551_040, printed="0.27M"),
    Published("resnet32", {}, 464_154, f"{HE}, table 6", 68_862_592, printed="0.46M"),
    Published("resnet44", {}, 658_586, f"{HE}, table 6", 97_174_144, printed="0.66M"),
    Published("resnet56", {}, 853_018, f"{HE}, table 6", 125_485_696, printed="0.85M"),
    Published("resnet110", {}, 1_727_962, f"{HE}, table 6", 252_887_680, printed="1.7M"),
    Published("resnet1202", {}, 19_421_274, f"{HE}, table 6", printed="19.4M"),
    Published("resnet20", {"shortcut": "B"}, 272_474, CIFAR, 40_813_184),
    Published("resnet32", {"shortcut": "B"}, 466_906, CIFAR),
    Published("resnet44", {"shortcut": "B"}, 661_338, CIFAR),
    Published("resnet56", {"shortcut": "B"}, 855_770, CIFAR),
    Published("resnet110", {"shortcut": "B"}, 1_730_714, CIFAR),
    Published("resnet1202", {"shortcut": "B"}, 19_424_026, CIFAR),
    Published("resnet18", TINY, 11_173_962, CIFAR, 555_422_720, 109),
    Published("resnet34", TINY, 21_282_122, CIFAR),
    Published("resnet50", TINY, 23_520_842, CIFAR),
    Published("resnet101", TINY, 42_512_970, CIFAR),
    Published("resnet152", TINY, 58_156_618, CIFAR),
    Published("resnet18", {**TINY, "num_classes": 100}, 11_220_132, CIFAR),
    Published("resnet50", {**TINY, "num_classes": 100}, 23_705_252, CIFAR),
    Published("vgg11", LINEAR, 9_231_114, CIFAR),
    Published("vgg13", LINEAR, 9_416_010, CIFAR),
    Published("vgg16", LINEAR, 14_728_266, CIFAR),
    Published("vgg19", LINEAR, 20_040_522, CIFAR),
    Published("vgg11", HIDDEN, 9_756_426, CIFAR),
    Published("vgg13", HIDDEN, 9_941_322, CIFAR),
    Published("vgg16", HIDDEN, 15_253_578, CIFAR),
    Published("vgg19", HIDDEN, 20_565_834, CIFAR),
    Published("vgg16", {**HIDDEN, "num_classes": 100}, 15_299_748, CIFAR),
    Published("vgg16", {**BN, "head": sn.VGGHead(hidden=(4096, 4096)), "num_classes": 100}, 34_015_396, CIFAR),
    Published("alexnet", TINY, 2_472_266, CIFAR),
]
# Lab reports, hand-outs and textbook chapters, by what they build.
REPORTS = [
    Published("vgg16", {"head": "compact"}, 14_983_498, "CIFAR-10 report, VGG-16"),
    Published("vgg16", {"head": "compact", **BN}, 14_991_946, "the same with batch norm"),
    Published("resnet50_layer4", {}, 8_898_826, "CIFAR-10 report, ResNet50-layer4"),
    Published("vgg16", {**BN, "head": "wide", "num_classes": 3}, 33_617_987, "three-class lab, VGG-16"),
    Published(
        "resnet50",
        {**TINY, "num_classes": 3, "stride_in": "1x1", "shortcut_bias": True},
        23_510_339,
        "three-class lab, ResNet-50",
    ),
    Published("convnet3", {}, 469_532, "CIFAR-10 report, three convolutions"),
    Published(
        "lenet5",
        {"variant": "wide", "in_channels": 3, "input_size": 224, "num_classes": 2},
        46_038_242,
        "textbook, LeNet for cats and dogs",
    ),
    Published("alexnet", {"hidden": (4096, 512), "num_classes": 2}, 42_321_218, "textbook, AlexNet"),
]


@pytest.mark.parametrize("row", [*IMAGENET, *SMALL, *REPORTS], ids=str)
def test_counts(row: Published) -> None:
    net = on_meta(row.name, **row.options)
    assert count_parameters(net) == row.params
    if row.macs is not None:
        assert count_macs(net, net.input_size) == row.macs
    if row.receptive_field is not None:
        assert receptive_field(net) == row.receptive_field
    if row.min_side is not None:
        channels = net.input_size[0]
        net.eval()(torch.empty(1, channels, row.min_side, row.min_side, device="meta"))
        with pytest.raises(sn.ShapeError):
            net(torch.empty(1, channels, row.min_side - 1, row.min_side, device="meta"))


def receptive_field(net: nn.Module) -> int:
    """Side of the picture that one pixel of the last map sees, along the longest branch; shortcuts see less."""
    size = jump = 1
    for path, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and "downsample" not in path:
            kernel, stride = (first(layer.kernel_size), first(layer.stride))
            size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


@pytest.mark.parametrize(
    ("letter", "millions"), [("A", 133), ("A-LRN", 133), ("B", 133), ("C", 134), ("D", 138), ("E", 144)]
)
def test_vgg_table_2_in_millions(letter: str, millions: int) -> None:
    assert round(count_parameters(on_meta("vgg", cfg=letter)) / 1e6) == millions


@pytest.mark.parametrize(("depth", "billions"), [(18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3)])
def test_resnet_table_1_in_billions_of_macs(depth: int, billions: float) -> None:
    """With the stride in the first 1x1; the paper rounds the deepest two (7.570, 11.282) and truncates 50 (3.858)."""
    net = on_meta(f"resnet{depth}", stride_in="1x1")
    tenths = count_macs(net, net.input_size) / 1e8
    assert billions in (int(tenths) / 10, round(tenths) / 10)


def test_resnet34_and_50_to_the_fourth_digit() -> None:
    for name, options, printed in (
        ("resnet34", {"shortcut": "A"}, 3.644),
        ("resnet34", {"shortcut": "B"}, 3.664),
        ("resnet50", {"stride_in": "1x1"}, 3.858),
    ):
        net = on_meta(name, **options)
        assert round(count_macs(net, net.input_size) / 1e9, 3) == printed


def test_plain_twins_have_no_shortcuts_and_the_same_convolutions() -> None:
    """Figure 3 and table 2 of He et al. 2016: the plain nets have no extra parameters."""
    for name in ("resnet18", "resnet34", "resnet20", "resnet50"):
        plain, residual = on_meta(name, residual=False), on_meta(name, shortcut="A")
        assert count_parameters(plain) == count_parameters(residual)
        assert not any("downsample" in path or path.endswith(".add") for path, _ in plain.named_modules())


def test_lenet5_of_1998_layer_by_layer() -> None:
    """LeCun et al. 1998, section II-B: C1, S2, C3, S4, C5, F6 and their sum."""
    net = on_meta("lenet5", variant="1998")
    counts = [count_parameters(net.get_submodule(layer)) for layer in ("c1", "s2", "c3", "s4", "c5", "f6")]
    assert counts == [156, 12, 1516, 32, 48120, 10164]
    assert count_parameters(net) == sum(counts) == 60_000
