"""One process or many: what differs, in one place. Under ``torchrun`` it is DistributedDataParallel on gloo or nccl."""

import atexit
import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import RunError, SmallnetsError, first_line, message
from ..wording import lost_connection
from .preserve import state_tensors


@dataclass(frozen=True)
class Group:
    """The processes that work together; of one, where nobody started more."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    @contextlib.contextmanager
    def one_message(self) -> Generator[None, None, None]:
        """When another process dies, end with one clear sentence instead of the transport's.

        Raises:
            RunError: When the connection to another process was lost.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world > 1 and not isinstance(error, SmallnetsError) and is_lost(error):
                got = f"lost the connection to one ({first_line(error)[:120]})"
                advice = (
                    "Look for the first error among the processes; the same command goes on from the last checkpoint."
                )
                raise RunError(message("fit", f"all {self.world} processes to go on", got, advice)) from error
            raise

    def gather(self, thing: Any) -> list[Any]:
        """Everybody's thing, in rank order, for everybody."""
        if self.world == 1:
            return [thing]
        found: list[Any] = [None] * self.world
        with self.one_message():
            dist.all_gather_object(found, thing)
        return found

    def from_leader(self, thing: Any) -> Any:
        """The leader's thing, for everybody."""
        if self.world == 1:
            return thing
        box = [thing]
        with self.one_message():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of everybody's tensor, in place."""
        if self.world > 1:
            with self.one_message():
                dist.all_reduce(tensor)
        return tensor

    def align(self, model: nn.Module) -> None:
        """Give everybody the leader's weights and buffers: batch norms saw other pictures on each process."""
        if self.world > 1:
            with self.one_message():
                for tensor in state_tensors(model).values():
                    dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        if self.world > 1:
            with self.one_message():
                dist.barrier()


def is_lost(error: RuntimeError) -> bool:
    """Whether this says that another process is gone."""
    return isinstance(error, dist.DistError) or lost_connection(error)


def current_group(device: torch.device | None = None) -> Group:
    """The group this process belongs to, joined on first use when ``torchrun`` started it."""
    if not dist.is_available():
        return Group()
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
            return Group()
        gpu = device if device is not None and device.type == "cuda" else None
        if gpu is not None:
            torch.cuda.set_device(gpu)  # nccl's collectives of objects go by the current device
        # Long enough to wait for a leader that downloads; a process that dies is noticed at once, by its connection.
        waits = timedelta(minutes=30)
        dist.init_process_group("gloo" if gpu is None else "nccl", timeout=waits, device_id=gpu)
        atexit.register(leave)
    return Group(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Take leave of the other processes, where that is still possible."""
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
        # DDP keeps gloo's threads alive. One that lets go of the last exchange's tensors while the interpreter is being
        # finalised is ended inside a destructor, and the whole process with it ("terminate called without an active
        # exception"): they get the interpreter for a moment first.
        time.sleep(0.05)


def first_to_tell() -> bool:
    """Whether this process is the first of those that torchrun started to report how it ended; alone it always is.

    The others end because it did, or for the same reason; torchrun's own store outlives them all.
    """
    known = os.environ
    if known.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or known.get("WORLD_SIZE", "1") == "1":
        return True
    try:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in every build of torch

        address = known["MASTER_ADDR"], int(known["MASTER_PORT"])
        store = TCPStore(*address, is_master=False, timeout=timedelta(seconds=5), wait_for_workers=False)
        return store.add(f"smallnets/told/{known.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1
    except (ImportError, RuntimeError, ValueError, KeyError):
        return True
