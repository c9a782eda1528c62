"""A summary of layers in a row tells what a real run does: the shape that comes out, or that none does."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from smallnets import summarize
from smallnets.errors import ShapeError

Layer = Callable[[int, int], nn.Module]  # of the number of dimensions and the channels that come in

few = st.integers(1, 4)


def geometry(*least: int) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    """Values for one to three sides each, the first at least ``least[0]`` and so on."""
    return st.tuples(*(st.lists(st.integers(low, low + 3), min_size=3, max_size=3).map(tuple) for low in least))


def named(kind: str, dimensions: int) -> Any:
    return getattr(nn, f"{kind}{dimensions}d")


def convolution(values: Any) -> Layer:
    (kernel, stride, padding, dilation), channels = values
    return lambda n, c: named("Conv", n)(c, channels, kernel[:n], stride[:n], padding[:n], dilation[:n])


def transposed(values: Any) -> Layer:
    (kernel, stride, padding, more, dilation), channels = values
    return lambda n, c: named("ConvTranspose", n)(
        c, channels, kernel[:n], stride[:n], padding[:n], more[:n], dilation=dilation[:n]
    )


def max_pool(values: Any) -> Layer:
    (kernel, stride, padding, dilation), ceil_mode = values
    return lambda n, c: named("MaxPool", n)(kernel[:n], stride[:n], padding[:n], dilation[:n], ceil_mode=ceil_mode)


def average_pool(values: Any) -> Layer:
    (kernel, stride, padding), ceil_mode = values
    return lambda n, c: named("AvgPool", n)(kernel[:n], stride[:n], padding[:n], ceil_mode=ceil_mode)


def padding(values: Any) -> Layer:
    (sides,), kind = values
    return lambda n, c: named(kind, n)(sides * 2 if n == 3 else (sides[:n] * 2))


def other(name: str) -> Layer:
    return {
        "batch norm": lambda n, c: named("BatchNorm", n)(c),
        "instance norm": lambda n, c: named("InstanceNorm", n)(c),
        "adaptive pool": lambda n, c: named("AdaptiveAvgPool", n)(2),
        "relu": lambda n, c: nn.ReLU(),
        "upsample": lambda n, c: nn.Upsample(scale_factor=0.4),
    }[name]


layers = st.one_of(
    st.tuples(geometry(1, 1, 0, 1), few).map(convolution),
    st.tuples(geometry(1, 1, 0, 0, 1), few).map(transposed),
    st.tuples(geometry(1, 1, 0, 1), st.booleans()).map(max_pool),
    st.tuples(geometry(1, 1, 0), st.booleans()).map(average_pool),
    st.tuples(geometry(0), st.sampled_from(["ReflectionPad", "ReplicationPad", "ZeroPad"])).map(padding),
    st.sampled_from(["batch norm", "instance norm", "adaptive pool", "relu", "upsample"]).map(other),
)


@settings(deadline=None)
@given(sides=st.lists(st.integers(1, 9), min_size=1, max_size=3), row=st.lists(layers, min_size=1, max_size=3))
def test_what_comes_out_is_what_a_real_run_gives(sides: list[int], row: list[Layer]) -> None:
    channels, made = 2, list[nn.Module]()
    for layer in row:
        made.append(layer(len(sides), channels))
        channels = getattr(made[-1], "out_channels", channels)
    net = nn.Sequential(*made).eval()
    try:
        expected = tuple(net(torch.zeros(1, 2, *sides)).shape)
    except (RuntimeError, ValueError):
        with contextlib.suppress(ShapeError):  # raised where there is nothing to show: the first layer refused
            assert summarize(net, (2, *sides)).failure is not None
    else:
        summary = summarize(net, (2, *sides))
        assert summary.failure is None
        assert summary.rows[-1].output == expected
