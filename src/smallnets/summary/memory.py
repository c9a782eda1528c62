"""The bytes that autograd keeps for the backward pass, counted without allocating them."""

from typing import Any

import torch
from torch import Tensor

from ..errors import ShapeError, message
from .abstract import NoData, NoDevice, undisturbed
from .calls import storage_id
from .inputs import check_batch_size, make_inputs
from .replica import Replica


def saved_bytes(replica: Replica, input_size: Any, batch_size: int) -> int:
    """Unique storages that a forward in training mode saves, without parameters and buffers."""
    check_batch_size("training_memory", batch_size)
    module = replica.module
    owned = {storage_id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(storage_id(tensor), tensor)
        return tensor

    args, kwargs = make_inputs(input_size, batch_size, replica.dtype)
    replica.train(True)
    try:
        with undisturbed(), torch.enable_grad(), NoData(), NoDevice():
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                out = module(*args, **kwargs)
            del out
    except Exception as cause:
        given = f"one that fails at batch size {batch_size}: {cause}"
        raise ShapeError(message("training_memory", "a model that runs in training mode", given)) from cause
    finally:
        replica.train(False)
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in owned)
