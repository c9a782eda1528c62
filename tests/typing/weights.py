"""What a type checker makes of weights, backbones and surgery in a user's code."""

from collections import OrderedDict
from pathlib import Path
from typing import assert_type

import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights

import smallnets as sn


def weights(path: Path) -> None:
    net = sn.resnet18(weights=path)
    assert_type(net, sn.ResNet)
    assert_type(sn.resnet18(weights=str(path)), sn.ResNet)
    assert_type(sn.resnet18(weights=net.state_dict()), sn.ResNet)
    assert_type(sn.resnet18(weights=ResNet18_Weights.IMAGENET1K_V1), sn.ResNet)
    assert_type(sn.vgg16(weights="DEFAULT", batch_norm=True), sn.VGG)
    assert_type(sn.load_weights(net, path, head="reset", first_conv="average"), str)
    assert_type(sn.load_weights(net, path, head="reset", first_conv="reset", prefix="teacher"), str)
    sn.save(net, path, dtype=torch.bfloat16, classes=["a", "b"], accuracy=0.9)
    assert_type(sn.load(path), sn.Net)
    assert_type(sn.load("runs/digits"), sn.Net)


def backbones(net: sn.ResNet, vgg: sn.VGG, x: Tensor) -> None:
    pyramid = sn.feature_pyramid(net, ["layer1", "layer4"])
    assert_type(pyramid.channels, dict[str, int])
    assert_type(pyramid.strides, dict[str, int])
    assert_type(pyramid.out_channels, int)
    assert_type(pyramid.forward(x), OrderedDict[str, Tensor])
    assert_type(sn.fuse(net), sn.ResNet)
    assert_type(sn.freeze(net, upto="layer1"), sn.ResNet)
    assert_type(sn.grow(vgg, vgg), sn.VGG)
    assert_type(sn.to_fully_convolutional(vgg), sn.FullyConvolutional)
    torch.optim.SGD(sn.parameter_groups(net, 0.1, decay=0.5))
