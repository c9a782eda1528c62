"""What one operation of PyTorch costs: multiply-accumulates and elementwise operations, from shapes alone.

FlopCounterMode has no elementwise operations and no rows, passes by what has no formula without a word, and counts
through hooks on the caller's module; here it is the tests' oracle.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .op import Op
from .tracked import RULES

# ATen ops that only look at their input in another way, or move data about.
MOVES = frozenset(
    (
        *("view", "_unsafe_view", "reshape", "t", "transpose", "permute", "expand", "squeeze", "unsqueeze"),
        *("select", "slice", "split", "split_with_sizes", "unsafe_split", "chunk", "unbind", "alias"),
        *("detach", "clone", "_to_copy", "copy_", "as_strided", "cat", "stack", "index", "gather", "roll"),
        *("flip", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
        *("replication_pad1d", "replication_pad2d", "replication_pad3d", "pixel_shuffle", "pixel_unshuffle"),
        *("channel_shuffle", "repeat", "lift_fresh", "index_select", "im2col", "unfold", "empty"),
        *("empty_like", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like", "new_empty"),
        *("new_zeros", "new_ones", "arange", "linspace", "empty_strided", "scalar_tensor", "embedding"),
        *("fill_", "zero_", "_reshape_alias", "unsafe_chunk", "movedim", "diagonal"),
        *("_pack_padded_sequence", "_pad_packed_sequence"),
    )
)


def convolution_macs(args: Any, out: Any) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    # Each input pixel of a transposed convolution meets each weight of its group once, as each output pixel does else.
    pixels = x.shape if transposed else out.shape
    return int(pixels[0]) * math.prod(pixels[2:]) * weight.numel()


def matmul_macs(first: int) -> Callable[[Any, Any], int]:
    """MACs of a product of matrices or vectors whose left factor is argument ``first``."""

    def macs(args: Any, out: Any) -> int:
        return out.numel() * int(args[first].shape[-1])

    return macs


def attention_macs(args: Any, out: Any) -> int:
    query, key, value = args[:3]
    pairs = math.prod(query.shape[:-1]) * int(key.shape[-2])
    return pairs * int(query.shape[-1] + value.shape[-1])


def bilinear_macs(args: Any, out: Any) -> int:
    return math.prod(args[0].shape[:-1]) * args[1].numel()


def deformable_macs(args: Any, out: Any) -> int:
    return convolution_macs((args[0], args[1], *args[2:6], False), out)


MACS: dict[str, Callable[[Any, Any], int]] = {
    "convolution": convolution_macs,
    "deform_conv2d": deformable_macs,
    "mm": matmul_macs(0),
    "bmm": matmul_macs(0),
    "mv": matmul_macs(0),
    "dot": lambda args, out: args[0].numel(),
    "addmm": matmul_macs(1),
    "addmm_": matmul_macs(1),
    "addmv": matmul_macs(1),
    "baddbmm": matmul_macs(1),
    "addbmm": lambda args, out: args[1].numel() * int(args[2].shape[-1]),
    "_trilinear": bilinear_macs,
    "_scaled_dot_product_flash_attention_for_cpu": attention_macs,
    "_scaled_dot_product_flash_attention": attention_macs,
    "_scaled_dot_product_efficient_attention": attention_macs,
    "_scaled_dot_product_cudnn_attention": attention_macs,
    "_scaled_dot_product_fused_attention_overrideable": attention_macs,
}


# What takes more than an operation or so for each element that comes out, by no rule of ours.
DEAR = ("linalg_", "_linalg_", "_fft_", "_cdist", "_pdist", "_euclidean_dist", "_thnn_", "mkldnn_", "_cudnn_rnn")
CHEAP = frozenset(("linalg_vector_norm", "linalg_cross"))


def cost(op: Op, args: Any, out: Any) -> tuple[int, int, bool]:
    """(MACs, elementwise operations, whether that is all) of one ATen call.

    One elementwise operation counts for each element that comes out.
    """
    name = op.name
    if name in MACS:
        return MACS[name](args, out), 0, True
    if name in MOVES or op.view or op.independent:
        return 0, 0, True
    result = out[0] if isinstance(out, tuple | list) and out else out
    elementwise = result.numel() if isinstance(result, Tensor) else 0
    if name in CHEAP or op.pointwise:
        return 0, elementwise, True
    known = name.rstrip("_") in RULES or op.decomposition() is not None
    return 0, elementwise, known and not name.startswith(DEAR)


def nbytes(tensor: Tensor) -> int:
    """Bytes of the tensor's elements."""
    return tensor.numel() * tensor.element_size()
