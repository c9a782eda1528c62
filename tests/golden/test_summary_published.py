"""Published or independently recomputed figures, to the last digit.

Parameters and multiply-accumulates (convolutions and linear layers alone) of one 224x224 picture: torchvision's model
pages. Receptive fields: Araujo, Norris & Sim 2019, table 1, where it has the net, else their recurrence by hand.
"""

from typing import NamedTuple

import pytest
import torchvision
from torch import nn

from smallnets import min_input_size, receptive_field, summarize


class Published(NamedTuple):
    net: str
    params: int
    macs: int
    field: int
    side: int


PUBLISHED = [
    Published("alexnet", 61_100_840, 714_188_480, 195, 63),
    Published("vgg11", 132_863_336, 7_609_090_048, 150, 32),
    Published("vgg11_bn", 132_868_840, 7_609_090_048, 150, 32),
    Published("vgg13", 133_047_848, 11_308_466_176, 156, 32),
    Published("vgg16", 138_357_544, 15_470_264_320, 212, 32),
    Published("vgg16_bn", 138_365_992, 15_470_264_320, 212, 32),
    Published("vgg19", 143_667_240, 19_632_062_464, 268, 32),
    Published("resnet18", 11_689_512, 1_814_073_344, 435, 1),
    Published("resnet34", 21_797_672, 3_663_761_408, 899, 1),
    Published("resnet50", 25_557_032, 4_089_184_256, 427, 1),
    Published("resnet101", 44_549_160, 7_801_405_440, 971, 1),
    Published("resnet152", 60_192_808, 11_513_626_624, 1451, 1),
]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.net)
def test_published_figures(published: Published) -> None:
    net = build(published.net)
    totals = summarize(net, (3, 224, 224)).totals
    assert (totals.params, totals.macs) == (published.params, published.macs)
    assert totals.trainable == totals.params
    assert receptive_field(net, (3, 224, 224)).size == (published.field, published.field)
    assert min_input_size(net) == (published.side, published.side)


def build(name: str) -> nn.Module:
    """Without the memory for its weights: nothing here needs them."""
    import torch

    with torch.device("meta"):
        return torchvision.models.get_model(name)


def test_the_field_depends_on_where_the_stride_sits() -> None:
    # ResNet-50 as published has the stride in the first 1x1 of a bottleneck, torchvision's in the 3x3.
    net = torchvision.models.resnet50()
    assert receptive_field(net, (3, 224, 224)).size == (427, 427)
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    assert receptive_field(net, (3, 224, 224)).size == (483, 483)


@pytest.mark.parametrize(("net", "field"), [("inception_v3", 1311), ("densenet121", 2071)])
def test_fields_through_many_branches(net: str, field: int) -> None:
    # Araujo, Norris & Sim 2019, table 1 (inception_v3), and the recurrence by hand (densenet121).
    kwargs = {"init_weights": False} if net == "inception_v3" else {}
    model = torchvision.models.get_model(net, **kwargs)
    assert receptive_field(model, (3, 299, 299)).size == (field, field)


def textbook_lenet() -> nn.Module:
    """The cats-and-dogs net of a textbook: 224x224 RGB, 16 and 32 maps, 512 hidden."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(Rows(), nn.Linear(89_888, 512), nn.ReLU(), nn.Linear(512, 2)),
    )


class Rows(nn.Module):
    """A container without layers of its own, so that flattening stays a functional call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential()

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.inner(x).flatten(1)


def test_the_classic_layout_of_the_textbook_lenet() -> None:
    assert summarize(textbook_lenet(), (3, 224, 224)).to_classic() == CLASSIC.strip("\n")


def test_the_classic_figures_of_the_textbook_alexnet() -> None:
    net = torchvision.models.alexnet()
    net.classifier[4], net.classifier[6] = nn.Linear(4096, 512), nn.Linear(512, 2)
    text = summarize(net, (3, 256, 256)).to_classic()
    for line in (
        "Total params: 42,321,218",
        "Input size (MB): 0.75",
        "Forward/backward pass size (MB): 10.90",
        "Params size (MB): 161.44",
    ):
        assert line in text


CLASSIC = """
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Conv2d-1         [-1, 16, 220, 220]           1,216
              ReLU-2         [-1, 16, 220, 220]               0
         MaxPool2d-3         [-1, 16, 110, 110]               0
            Conv2d-4         [-1, 32, 106, 106]          12,832
              ReLU-5         [-1, 32, 106, 106]               0
         MaxPool2d-6           [-1, 32, 53, 53]               0
            Linear-7                  [-1, 512]      46,023,168
              ReLU-8                  [-1, 512]               0
            Linear-9                    [-1, 2]           1,026
================================================================
Total params: 46,038,242
Trainable params: 46,038,242
Non-trainable params: 0
----------------------------------------------------------------
Input size (MB): 0.57
Forward/backward pass size (MB): 19.47
Params size (MB): 175.62
Estimated Total Size (MB): 195.67
----------------------------------------------------------------
"""
