"""The arithmetic against PyTorch on the meta device: the same sides, and refusals in the same places."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from smallnets.errors import ShapeError
from smallnets.shapes import (
    adaptive_pool_windows,
    conv_output_size,
    conv_transpose_output_size,
    pool_output_size,
    same_padding,
    smallest_input_size,
)

many = settings(max_examples=400, deadline=None)

sides = st.integers(1, 40)
kernels = st.integers(1, 9)
strides = st.integers(1, 5)
paddings = st.integers(0, 6)
dilations = st.integers(1, 4)


def pair(side: st.SearchStrategy[int]) -> st.SearchStrategy[int | tuple[int, int]]:
    return st.one_of(side, st.tuples(side, side))


def both(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def maps(size: int | tuple[int, int], device: str = "meta") -> Tensor:
    return torch.zeros(1, 1, *both(size), device=device)


def same_as_torch(ours: Callable[[], Any], torchs: Callable[[], Tensor], one_number: bool = False) -> None:
    try:
        expected = tuple(torchs().shape[-2:])
        # Only when both sides are empty does the meta device say so; a real run refuses one.
        assert 0 not in expected
    except (RuntimeError, ValueError, AssertionError):
        with pytest.raises(ShapeError):
            ours()
    else:
        assert ours() == (expected[0] if one_number else expected)


@many
@given(pair(sides), pair(kernels), pair(strides), pair(paddings), pair(dilations))
def test_conv_output_size_is_torchs(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    one_number = not any(isinstance(value, tuple) for value in (size, kernel, stride, padding, dilation))
    same_as_torch(
        lambda: conv_output_size(size, kernel, stride=stride, padding=padding, dilation=dilation),
        lambda: F.conv2d(maps(size), maps(kernel), stride=stride, padding=padding, dilation=dilation),
        one_number,
    )


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@many
@given(sides, kernels, st.integers(1, 2), st.sampled_from(["same", "valid"]), dilations)
def test_named_padding_is_torchs(size: int, kernel: int, stride: int, padding: Any, dilation: int) -> None:
    same_as_torch(
        lambda: conv_output_size(size, kernel, stride=stride, padding=padding, dilation=dilation),
        lambda: F.conv2d(maps(size), maps(kernel), stride=stride, padding=padding, dilation=dilation),
        one_number=True,
    )


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@many
@given(sides, kernels, dilations)
def test_same_padding_adds_torchs_zeros(size: int, kernel: int, dilation: int) -> None:
    # A picture of ones under a kernel of distinct powers: the sums show which weights fell on zeros.
    before, after = same_padding(kernel, dilation)
    picture, weights = torch.ones(1, 1, size), 2.0 ** torch.arange(kernel)[None, None]
    ours = F.conv1d(F.pad(picture, (before, after)), weights, dilation=dilation)
    assert torch.equal(ours, F.conv1d(picture, weights, padding="same", dilation=dilation))


@many
@given(pair(sides), pair(kernels), pair(strides), pair(paddings), pair(st.integers(0, 4)), pair(dilations))
def test_conv_transpose_output_size_is_torchs(
    size: Any, kernel: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any
) -> None:
    arguments = (stride, padding, output_padding)
    one_number = not any(isinstance(value, tuple) for value in (size, kernel, *arguments, dilation))
    # A real run: up to torch 2.14 the meta device takes any output_padding.
    same_as_torch(
        lambda: conv_transpose_output_size(size, kernel, *arguments, dilation=dilation),
        lambda: F.conv_transpose2d(maps(size, "cpu"), maps(kernel, "cpu"), None, *arguments, dilation=dilation),
        one_number,
    )


@many
@given(pair(sides), pair(kernels), st.none() | pair(strides), pair(st.integers(0, 4)), pair(dilations), st.booleans())
def test_max_pool_output_size_is_torchs(
    size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> None:
    one_number = not any(isinstance(value, tuple) for value in (size, kernel, stride, padding, dilation))
    same_as_torch(
        lambda: pool_output_size(size, kernel, stride, padding, dilation, ceil_mode),
        lambda: F.max_pool2d(maps(size), kernel, stride, padding, dilation, ceil_mode=ceil_mode),
        one_number,
    )


@many
@given(sides, kernels, st.none() | strides, st.integers(0, 4), st.booleans())
def test_average_pool_output_size_is_torchs(size: int, kernel: int, stride: Any, padding: int, ceil_mode: bool) -> None:
    same_as_torch(
        lambda: pool_output_size(size, kernel, stride, padding, ceil_mode=ceil_mode),
        lambda: F.avg_pool2d(maps(size), kernel, stride, padding, ceil_mode=ceil_mode),
        one_number=True,
    )


@many
@given(st.integers(1, 30), st.integers(0, 30))
def test_adaptive_pool_windows_are_torchs(size: int, output_size: int) -> None:
    windows = adaptive_pool_windows(size, output_size)
    ramp = torch.arange(size, dtype=torch.float64)
    assert len(windows) == output_size
    if output_size:
        means = torch.stack([ramp[start:end].mean() for start, end in windows])
        torch.testing.assert_close(means, F.adaptive_avg_pool1d(ramp[None], output_size)[0])
        assert [end - 1 for _, end in windows] == F.adaptive_max_pool1d(ramp[None], output_size)[0].tolist()


def brute_force(output_size: int, rule: Callable[[int], int]) -> int | None:
    for size in range(1, 200):
        try:
            if rule(size) >= output_size:
                return size
        except ShapeError:
            continue
    return None


@many
@given(st.integers(1, 12), kernels, strides, paddings, dilations, st.sampled_from(["conv", "pool", "ceil"]))
def test_smallest_input_size_is_the_first_that_works(
    output: int, kernel: int, stride: int, padding: int, dilation: int, layer: str
) -> None:
    ceil_mode = layer == "ceil"
    if layer == "conv":
        rule: Any = functools.partial(
            conv_output_size, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation
        )
    else:
        rule = functools.partial(
            pool_output_size,
            kernel_size=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )
    expected = brute_force(output, rule)
    if expected is None:
        assume(ceil_mode)  # without ceil_mode the padding may be a convolution's
        with pytest.raises(ShapeError):
            smallest_input_size(output, kernel, stride, padding, dilation, ceil_mode)
    else:
        assert smallest_input_size(output, kernel, stride, padding, dilation, ceil_mode) == expected
