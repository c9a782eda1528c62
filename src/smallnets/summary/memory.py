"""The bytes that autograd keeps for the backward pass, counted without allocating them."""

import types
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ShapeError, message
from .abstract import NoData, NoDevice, undisturbed
from .copier import storage_id
from .inputs import Call, check_batch_size, make_inputs
from .replica import Replica

FLASH = 1  # what PyTorch calls the attention that keeps no table of scores


def saved_bytes(replica: Replica, call: Call, batch_size: int) -> int:
    """Unique storages that a forward in training mode saves, without parameters and buffers."""
    check_batch_size("training_memory", batch_size)
    module = replica.module
    owned = {storage_id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(storage_id(tensor), tensor)
        return tensor

    args, kwargs = make_inputs(call, batch_size, replica.dtype)
    replica.train(True)
    try:
        with undisturbed(), torch.enable_grad(), NoData(replica.constants), Training():
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                out = module(*args, **kwargs)
            del out
    except Exception as cause:
        given = f"one that fails at batch size {batch_size}: {cause}"
        raise ShapeError(message("training_memory", "a model that runs in training mode", given)) from cause
    finally:
        replica.train(False)
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in owned)


class Training(NoDevice):
    """Takes the attention that a real device would take; the meta device knows only the one that keeps its scores."""

    def record(self, func: Any, args: Any, kwargs: Any) -> Any:
        if func is F.scaled_dot_product_attention:
            return attention(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return MULTI_HEAD(*args, **kwargs)
        return super().record(func, args, kwargs)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention by the kernel that PyTorch chooses for tensors like these on a CPU."""
    mask = None if attn_mask is None else stand_in(attn_mask)
    likes = [stand_in(tensor) for tensor in (query, key, value)]
    options = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    with torch._C._DisableTorchDispatch():  # pyright: ignore  # the choice is made for tensors that are there
        choose: Any = torch._fused_sdp_choice  # pyright: ignore[reportPrivateUsage]
        choice = choose(*likes, attn_mask=mask, **options)
    if choice != FLASH:
        return F.scaled_dot_product_attention(
            *(query, key, value), attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if query.dim() == 3:  # one head without a dimension of its own
        masks = attn_mask.unsqueeze(-3) if attn_mask is not None and attn_mask.dim() == 3 else attn_mask
        heads = (tensor.unsqueeze(1) for tensor in (query, key, value))
        return attention(*heads, masks, dropout_p, is_causal, scale, enable_gqa).squeeze(1)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = query.new_zeros(attn_mask.shape).masked_fill_(attn_mask.logical_not(), -torch.inf)
    fused: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out: Tensor = fused(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
    return out


def stand_in(tensor: Tensor) -> Tensor:
    """A tensor on the CPU with that shape and type, and next to no memory."""
    row = torch.zeros(tensor.shape[-1:], dtype=tensor.dtype, requires_grad=tensor.requires_grad)
    return row.expand(tensor.shape)


def no_overrides(tensors: Any) -> bool:
    return False


def without_detour() -> Any:
    """``multi_head_attention_forward`` with the attention above, and without its question who overrides it."""
    function = F.multi_head_attention_forward
    names = {**function.__globals__, "has_torch_function": no_overrides, "scaled_dot_product_attention": attention}
    twin = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


MULTI_HEAD = without_detour()
