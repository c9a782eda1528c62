"""Linear layers as convolutions: the logits that the net gives to each window of a larger picture."""

from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn

FORMS: list[tuple[Any, dict[str, Any], int]] = [  # builder, options, natural side
    (sn.vgg11, {"head": sn.VGGHead(pool=7, hidden=(40, 30)), "num_classes": 5}, 224),
    (sn.vgg11, {"head": "compact", "batch_norm": True, "num_classes": 5}, 32),
    (sn.vgg11, {"head": "linear"}, 32),
    (sn.vgg, {"cfg": [8, "M", 16, "M"], "head": "linear"}, 32),  # pooled from 8x8, not a window a pixel
    (sn.vgg, {"cfg": [8, "M", 16, "M"], "head": sn.VGGHead(pool=2, hidden=(12,)), "num_classes": 5}, 32),
    (sn.vgg11, {"head": sn.VGGHead(pool=7, hidden=(40,)), "num_classes": 0}, 224),
    (sn.alexnet, {"hidden": (40, 30), "num_classes": 5}, 224),
    (sn.alexnet, {"hidden": (40,), "variant": "2012", "num_classes": 5}, 227),
    (sn.alexnet, {"stem": "cifar"}, 32),
]


def trained(builder: Any, options: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    net = builder(**options).eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.running_mean, 0, 0.2)
    return net


@pytest.mark.parametrize(("builder", "options", "side"), FORMS)
def test_logits_at_the_natural_size(builder: Any, options: dict[str, Any], side: int) -> None:
    net = trained(builder, options)
    dense = sn.to_fully_convolutional(net)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        logits, expected = dense(x), net(x)
    assert logits.shape == (*expected.shape, 1, 1)
    assert (logits[:, :, 0, 0] - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert not dense.training


def test_a_larger_picture_gives_a_map_of_the_logits_of_its_windows() -> None:
    # Without padding at the borders of a window its logits are exactly those of the window cut out.
    net = trained(
        sn.vgg, {"cfg": [(1, 8), "M", (1, 12), "M"], "head": sn.VGGHead(pool=8, hidden=(6,)), "num_classes": 5}
    )
    dense = sn.to_fully_convolutional(net)
    x = torch.randn(1, 3, 40, 48)
    with torch.no_grad():
        logits = dense(x)
        assert logits.shape == (1, 5, 3, 5)
        for row in range(3):
            for column in range(5):
                window = x[:, :, 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
                assert torch.allclose(logits[:, :, row, column], net(window), atol=1e-5)


@pytest.mark.parametrize(
    ("builder", "side", "larger", "expected"), [(sn.vgg11, 224, 288, 3), (sn.alexnet, 224, 288, 3)]
)
def test_the_size_of_the_map(builder: Any, side: int, larger: int, expected: int) -> None:
    with torch.device("meta"):
        dense = sn.to_fully_convolutional(builder())
    assert dense(torch.empty(1, 3, larger, side, device="meta")).shape == (1, 1000, expected, 1)


def test_it_is_a_new_net_that_learns_alone() -> None:
    net = sn.vgg11(head="linear")
    dense = sn.to_fully_convolutional(net)
    assert {p.data_ptr() for p in net.parameters()}.isdisjoint(p.data_ptr() for p in dense.parameters())
    assert dense.training
    dense(torch.randn(2, 3, 64, 64)).mean().backward()
    assert all(p.grad is not None for p in dense.parameters())
    assert all(p.grad is None for p in net.parameters())


def test_bad_inputs() -> None:
    resnet: Any = sn.resnet20()
    with pytest.raises(sn.OptionError, match=r"expected a VGG or an AlexNet; got a ResNet\. A net that ends in global"):
        sn.to_fully_convolutional(resnet)
    with pytest.raises(
        sn.OptionError, match=r"expected a VGG or an AlexNet; got a NoneType\. A net that ends in global"
    ):
        sn.FullyConvolutional(None)  # type: ignore[arg-type]
    with torch.device("meta"):
        dense = sn.to_fully_convolutional(sn.vgg11())
    with pytest.raises(sn.ShapeError, match="expected an input of at least 224x224; got 200x224"):
        dense(torch.empty(1, 3, 200, 224, device="meta"))
    with pytest.raises(
        sn.OptionError, match=r"expected a pool with equal windows; got 8 to 3\. Take a head whose pool"
    ):
        sn.to_fully_convolutional(sn.vgg([8, "M", 8, "M"], head=sn.VGGHead(pool=3)))
