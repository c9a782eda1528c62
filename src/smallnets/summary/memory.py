"""The bytes that autograd keeps for the backward pass, counted without allocating them."""

import torch
from torch import Tensor

from ..errors import ShapeError, message
from .abstract import NoData, NoDevice, undisturbed
from .inputs import Call, check_batch_size, make_inputs
from .replica import Replica, storage_id


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
        with undisturbed(), torch.enable_grad(), NoData(replica.constants), NoDevice():
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                out = module(*args, **kwargs)
            del out
    except Exception as cause:
        given = f"one that fails at batch size {batch_size}: {cause}"
        raise ShapeError(message("training_memory", "a model that runs in training mode", given)) from cause
    finally:
        replica.train(False)
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in owned)
