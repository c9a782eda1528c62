"""Random configurations and heads: the shape that the arithmetic predicts, or an error that says why."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import smallnets as sn
from smallnets.models.vgg_config import HEADS, LAYERS
from smallnets.shapes import pool_output_size

widths = st.integers(1, 6)
pairs = st.tuples(st.sampled_from([1, 3, 5]), widths)
layer_lists = st.lists(st.one_of(widths, pairs, st.just("M"), st.just("LRN")), max_size=8)
heads = st.builds(
    sn.VGGHead,
    pool=st.integers(1, 3),
    hidden=st.lists(widths, max_size=2).map(tuple),
    batch_norm=st.booleans(),
    dropout=st.sampled_from([0.0, 0.5]),
)


@settings(max_examples=150, deadline=None)
@given(
    cfg=layer_lists,
    head=st.one_of(heads, st.sampled_from(["compact", "linear"])),
    batch_norm=st.booleans(),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(0, 3),
    size=st.tuples(st.integers(0, 40), st.integers(1, 40)),
    batch=st.integers(1, 2),
    training=st.booleans(),
)
def test_a_list_of_layers_builds_and_fits_or_says_why(
    cfg: list[object],
    head: object,
    batch_norm: bool,
    in_channels: int,
    num_classes: int,
    size: tuple[int, int],
    batch: int,
    training: bool,
) -> None:
    convolutions = [layer for layer in cfg if layer not in ("M", "LRN")]
    if not convolutions:
        with pytest.raises(ValueError, match="at least one convolution in cfg"):
            sn.vgg(cfg, head=head)  # type: ignore[arg-type]
        return
    net = sn.vgg(cfg, batch_norm, num_classes=num_classes, in_channels=in_channels, head=head)  # type: ignore[arg-type]
    net.train(training)
    x = torch.randn(batch, in_channels, *size)
    pools = cfg.count("M")
    if min(size) < 2**pools:
        with pytest.raises(sn.ShapeError, match=f"at least {2**pools}x{2**pools}"):
            net(x)
        return
    if batch == 1 and training and refuses_one(net, cfg, size):
        with pytest.raises(sn.ShapeError, match=r"more than one value per channel.*got a batch of one, \(1, \d+, "):
            net(x)
        return
    features = net.forward_features(x)
    predicted = size
    for _ in range(pools):
        predicted = pool_output_size(predicted, 2)
    last = convolutions[-1]
    assert features.shape == (batch, last[1] if isinstance(last, tuple) else last, *predicted)
    assert net(x).shape == (batch, num_classes or net.num_features)


def refuses_one(net: sn.VGG, cfg: Sequence[object], size: tuple[int, int]) -> bool:
    """Whether PyTorch's batch norm sees a single value per channel of a batch of one."""
    if any(isinstance(layer, torch.nn.BatchNorm1d) for layer in net.modules()):
        return True
    if not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in net.modules()):
        return False
    last = max(i for i, layer in enumerate(cfg) if layer not in ("M", "LRN"))
    pools = cfg[:last].count("M")
    return max(size) >> pools == 1


@pytest.mark.parametrize("letter", LAYERS)
@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_a_letter_of_another_depth_names_the_right_builder(name: str, letter: str) -> None:
    right = {"A": "vgg11", "A-LRN": "vgg11", "B": "vgg13", "C": "vgg16", "D": "vgg16", "E": "vgg19"}[letter]
    with torch.device("meta"):
        if name == right:
            depth = sum(isinstance(layer, int | tuple) for layer in LAYERS[letter]) + 3
            assert int(name.removeprefix("vgg")) == depth
            assert sn.build(name, cfg=letter).config["cfg"] == letter
        else:
            with pytest.raises(ValueError, match=rf"{name}: expected cfg .* got '{letter}'\. Take {right}\."):
                sn.build(name, cfg=letter)


@pytest.mark.parametrize("head", HEADS)
def test_a_named_head_is_its_vgg_head(head: str) -> None:
    with torch.device("meta"):
        by_name = sn.vgg11(head=head)  # type: ignore[arg-type]
        by_value = sn.vgg11(head=HEADS[head])
        by_dict = sn.build(**by_value.config)
    assert str(by_name) == str(by_value) == str(by_dict)
    assert by_name.num_classes == by_dict.num_classes == (1000 if head == "imagenet" else 10)
    assert by_name.config["head"] == head
    assert by_dict.config == by_value.config


def test_the_error_names_the_layer_that_gives_out() -> None:
    net = sn.vgg16(head="linear")
    with pytest.raises(sn.ShapeError) as info:
        net(torch.zeros(1, 3, 16, 20))
    assert str(info.value) == (
        "vgg16: expected an input of at least 32x32; got 16x20, which is 1x1 after the pool features.23 and nothing "
        "after the pool features.30. Enlarge the picture or leave out a pool: vgg(cfg=[...])."
    )
