"""One process or many: what differs, in one place. Under ``torchrun`` it is DistributedDataParallel on gloo or nccl."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .feed import Share


@dataclass(frozen=True)
class Group:
    """The processes that work together; of one, where nobody started more."""

    rank: int = 0
    world: int = 1

    @property
    def share(self) -> Share:
        return Share(self.rank, self.world)

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def gather(self, thing: Any) -> list[Any]:
        """Everybody's thing, in rank order, for everybody."""
        if self.world == 1:
            return [thing]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, thing)
        return found

    def from_leader(self, thing: Any) -> Any:
        """The leader's thing, for everybody."""
        if self.world == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of everybody's tensor, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()


def current_group(device: torch.device | None = None) -> Group:
    """The group this process belongs to, joined on first use when ``torchrun`` started it."""
    if not dist.is_available():
        return Group()
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
            return Group()
        backend = "nccl" if device is not None and device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=5))
    return Group(dist.get_rank(), dist.get_world_size())
