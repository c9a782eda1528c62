"""AlexNet, LeNet-5 and the three-convolution net: the predicted shape, or an error that says why."""

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import smallnets as sn
from smallnets.shapes import conv_output_size, pool_output_size
from smallnets.shapes.input_rule import Window, smallest_side

sides = st.tuples(st.integers(1, 130), st.integers(1, 130))


@settings(max_examples=60, deadline=None)
@given(
    variant=st.sampled_from(["one-tower", "2012"]),
    stem=st.sampled_from(["imagenet", "cifar"]),
    hidden=st.one_of(st.none(), st.lists(st.integers(1, 9), max_size=3)),
    num_classes=st.integers(0, 3),
    size=sides,
)
def test_alexnet(
    variant: Literal["one-tower", "2012"],
    stem: Literal["imagenet", "cifar"],
    hidden: list[int] | None,
    num_classes: int,
    size: tuple[int, int],
) -> None:
    with torch.device("meta"):
        net = sn.alexnet(num_classes, variant=variant, stem=stem, hidden=hidden).eval()
        x = torch.empty(2, 3, *size)
    padding = 5 if stem == "cifar" else {"one-tower": 2, "2012": 0}[variant]
    try:
        predicted = conv_output_size(size, 11, 4, padding)
        for _ in range(3):
            predicted = pool_output_size(predicted, 2 if stem == "cifar" else 3, 2)
    except sn.ShapeError:
        least = 29 if stem == "cifar" else {"one-tower": 63, "2012": 67}[variant]
        assert min(size) < least
        with pytest.raises(sn.ShapeError, match=f"alexnet: expected an input of at least {least}x{least}; got"):
            net(x)
        return
    assert net.forward_features(x).shape == (2, 256, *predicted)
    assert net(x).shape == (2, num_classes or net.num_features)


@settings(max_examples=60, deadline=None)
@given(
    channels=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    kernel_size=st.integers(1, 7),
    hidden=st.lists(st.integers(1, 9), max_size=3),
    input_size=st.integers(1, 40),
    norm=st.sampled_from(["batch", "group"]),
    batch=st.integers(1, 2),
    training=st.booleans(),
)
def test_convnet3(
    channels: list[int],
    kernel_size: int,
    hidden: list[int],
    input_size: int,
    norm: Literal["batch", "group"],
    batch: int,
    training: bool,
) -> None:
    try:
        net = sn.convnet3(
            channels=channels, kernel_size=kernel_size, hidden=hidden, input_size=input_size, norm=norm
        ).train(training)
    except ValueError as error:
        assert kernel_size % 2 == 0 or input_size < 2 ** len(channels)
        assert "kernel_size" in str(error) or "input_size" in str(error)
        return
    x = torch.randn(batch, 3, input_size, input_size)
    last = input_size
    for _ in channels:
        last = pool_output_size(last, 2)
    assert net.forward_features(x).shape == (batch, channels[-1], last, last)
    assert net(x).shape == (batch, 10)


@settings(max_examples=40, deadline=None)
@given(variant=st.sampled_from(["modern", "wide"]), input_size=st.integers(1, 60), channels=st.integers(1, 4))
def test_lenet5(variant: Literal["modern", "wide"], input_size: int, channels: int) -> None:
    with torch.device("meta"):
        if input_size < 16:
            with pytest.raises(ValueError, match="expected input_size to be an integer of at least 16"):
                sn.lenet5(variant=variant, input_size=input_size)
            return
        net = sn.lenet5(in_channels=channels, variant=variant, input_size=input_size)
        assert net(torch.empty(2, channels, input_size, input_size)).shape == (2, 10)


windows = st.lists(
    st.builds(Window, st.just("layer"), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3)), max_size=5
).map(tuple)


@given(windows=windows)
def test_the_smallest_side_is_that_of_the_forward_arithmetic(windows: tuple[Window, ...]) -> None:
    """The oracle is the forward rule, tried on every side up to the answer."""

    def last(side: int) -> int:
        for window in windows:
            if side + 2 * window.padding < window.kernel_size:
                return 0
            side = conv_output_size(side, *window[1:])
        return side

    least = smallest_side(windows)
    assert last(least) >= 1
    assert all(last(side) == 0 for side in range(1, least))
