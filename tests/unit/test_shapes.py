"""Bad arguments of the arithmetic: PyTorch refuses each in a real run, we in one sentence."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from smallnets import shapes
from smallnets.errors import ShapeError

x = torch.zeros(1, 1, 5, 5)


def kernel(side: int) -> Tensor:
    return torch.zeros(1, 1, side, side)


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (lambda: shapes.conv_output_size(5, 6), lambda: F.conv2d(x, kernel(6))),
        (lambda: shapes.conv_output_size(5, 0), lambda: F.conv2d(x, kernel(0))),
        (lambda: shapes.conv_output_size(5, 3, stride=0), lambda: F.conv2d(x, kernel(3), stride=0)),
        (lambda: shapes.conv_output_size(5, 3, padding=-1), lambda: F.conv2d(x, kernel(3), padding=-1)),
        (lambda: shapes.conv_output_size(5, 3, dilation=0), lambda: F.conv2d(x, kernel(3), dilation=0)),
        (lambda: shapes.conv_output_size(0, 1, padding=1), lambda: F.conv2d(x[:, :, :0], kernel(1), padding=1)),
        (lambda: shapes.conv_transpose_output_size(5, 0), lambda: F.conv_transpose2d(x, kernel(0))),
        (lambda: shapes.conv_transpose_output_size(5, 3, 0), lambda: F.conv_transpose2d(x, kernel(3), stride=0)),
        (
            lambda: shapes.conv_transpose_output_size(5, 3, padding=-1),
            lambda: F.conv_transpose2d(x, kernel(3), None, 1, -1),
        ),
        (
            lambda: shapes.conv_transpose_output_size(5, 3, 2, 0, -1),
            lambda: F.conv_transpose2d(x, kernel(3), None, 2, 0, -1),
        ),
        (
            lambda: shapes.conv_transpose_output_size(5, 3, 2, 0, 2),
            lambda: F.conv_transpose2d(x, kernel(3), None, 2, 0, 2),
        ),
        (
            lambda: shapes.conv_transpose_output_size(1, 1, padding=1),
            lambda: F.conv_transpose2d(x[..., :1, :1], kernel(1), None, 1, 1),
        ),
        (lambda: shapes.pool_output_size(5, 0), lambda: F.max_pool2d(x, 0)),
        (lambda: shapes.pool_output_size(5, 2, 0), lambda: F.max_pool2d(x, 2, 0)),
        (lambda: shapes.pool_output_size(5, 3, padding=2), lambda: F.max_pool2d(x, 3, padding=2)),
        (lambda: shapes.pool_output_size(5, 3, dilation=0), lambda: F.max_pool2d(x, 3, dilation=0)),
        (lambda: shapes.pool_output_size(5, 6), lambda: F.avg_pool2d(x, 6)),
        (lambda: shapes.adaptive_pool_windows(5, -1), lambda: F.adaptive_avg_pool2d(x, -1)),
        (lambda: shapes.adaptive_pool_windows(0, 3), lambda: F.adaptive_avg_pool2d(x[:, :, :0], 3)),
    ],
)
def test_both_refuse(ours: Any, torchs: Any) -> None:
    with pytest.raises((RuntimeError, ZeroDivisionError)):
        torchs()
    with pytest.raises(ShapeError, match=r"expected .*; got "):
        ours()


def test_the_words_of_a_refusal() -> None:
    with pytest.raises(ShapeError) as caught:
        shapes.conv_output_size(2, 5, padding=1)
    assert str(caught.value) == (
        "conv_output_size: expected at least 5 pixels, padding included, for kernel_size 5 at dilation 1; "
        "got 4, which is 2 with padding 1. Enlarge the input or pad more."
    )


@pytest.mark.parametrize("size", [(1, 2, 3), 2.5, "32", True, None])
def test_a_size_is_an_integer_or_a_pair(size: Any) -> None:
    with pytest.raises(ShapeError):
        shapes.conv_output_size(size, 1)
