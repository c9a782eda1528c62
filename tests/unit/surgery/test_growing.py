"""The paper's start from a shallower net."""

from typing import Any

import pytest
import torch

import smallnets as sn

HEAD = sn.VGGHead(pool=7, hidden=(16, 16))


@pytest.mark.parametrize(
    ("deep", "options", "copied"),
    [  # where conv1_1, conv2_1, conv3_1 and conv3_2 of A (features 0, 3, 6, 8) are in the others, by table 1
        (sn.vgg13, {}, (0, 5, 10, 12)),
        (sn.vgg16, {}, (0, 5, 10, 12)),
        (sn.vgg16, {"cfg": "C"}, (0, 5, 10, 12)),
        (sn.vgg19, {}, (0, 5, 10, 12)),
    ],
)
def test_four_convolutions_and_the_linear_layers_are_copied(
    deep: Any, options: dict[str, Any], copied: tuple[int, ...]
) -> None:
    shallow, net = sn.vgg11(head=HEAD), deep(head=HEAD, **options)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert sn.grow(net, shallow) is net
    pairs = {f"features.{ours}": f"features.{theirs}" for ours, theirs in zip(copied, (0, 3, 6, 8), strict=True)}
    pairs |= {f"classifier.{i}": f"classifier.{i}" for i in (0, 3, 6)}
    for name, value in net.state_dict().items():
        layer, _, tail = name.rpartition(".")
        expected = shallow.state_dict()[f"{pairs[layer]}.{tail}"] if layer in pairs else before[name]
        assert torch.equal(value, expected), name


def test_batch_norms_go_with_their_convolutions() -> None:
    shallow, net = (builder(batch_norm=True, head="linear") for builder in (sn.vgg11, sn.vgg16))
    for name, value in shallow.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_()
    sn.grow(net, shallow)
    # conv2_1 is features.4 in A and features.7 in D, once norms stand between
    assert torch.equal(net.features[8].running_mean, shallow.features[5].running_mean)


@pytest.mark.parametrize(
    ("net", "from_", "why"),
    [
        (
            lambda: sn.vgg11(head="linear"),
            lambda: sn.vgg16(head="linear"),
            "a shallower net to start from; got 13 conv",
        ),
        (lambda: sn.vgg11(head="linear"), lambda: sn.vgg11(head="linear"), "a shallower net to start from"),
        (lambda: sn.vgg16(head="linear"), sn.resnet20, "two VGGs; got a ResNet"),
        (lambda: sn.vgg16(head="linear"), lambda: sn.vgg11(head="compact"), "heads with equally many layers"),
        (lambda: sn.vgg16(head="linear"), lambda: sn.vgg11(head="linear", num_classes=3), r"layer 1 of the head of \{"),
        (lambda: sn.vgg16(head="linear", batch_norm=True), lambda: sn.vgg11(head="linear"), "batch norm in both nets"),
        (
            lambda: sn.vgg16(head="linear"),
            lambda: sn.vgg([64, 64, 64, "M"], head="linear"),
            "a conv1_3 in the deeper net",
        ),
    ],
)
def test_nets_that_do_not_pair_up_are_refused_and_nothing_is_copied(net: Any, from_: Any, why: str) -> None:
    deep = net()
    before = {name: value.clone() for name, value in deep.state_dict().items()}
    with pytest.raises(sn.OptionError, match=f"^grow: expected {why}"):
        sn.grow(deep, from_())
    assert all(torch.equal(value, before[name]) for name, value in deep.state_dict().items())
