"""Out of memory, in one sentence with the batch that would fit."""

import contextlib
import math
from collections.abc import Generator

import torch
from torch import nn

from ...errors import RunError, SmallnetsError, message
from ...summary.summarize import summarize
from ...wording import no_memory
from ..options import FitOptions

USABLE = 0.8  # of a device's memory: the rest is the libraries' workspace, gradients of maps, and gaps
STATES = {"sgd": 1, "adam": 2, "adamw": 2}  # tensors the size of the weights that an optimiser keeps


@contextlib.contextmanager
def plain_memory_error(
    model: nn.Module, options: FitOptions, shape: tuple[int, ...], device: torch.device
) -> Generator[None, None, None]:
    """Torch's error of a batch that does not fit, in one sentence.

    Raises:
        RunError: Instead of torch's.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not no_memory(error):
            raise
        wanted = f"a batch of {options.batch_size} to fit into the memory of {device}"
        fits = batch_that_fits(model, options, shape, total_memory(device))
        advice = "Take a smaller batch_size, with accumulate= for updates from as many samples."
        if fits is not None:
            several = options.accumulate * math.ceil(options.batch_size / fits)
            advice = f"Take batch_size={fits}, with accumulate={several} for updates from as many samples."
        raise RunError(message("fit", wanted, "out of memory", advice)) from error


def batch_that_fits(model: nn.Module, options: FitOptions, shape: tuple[int, ...], memory: int) -> int | None:
    """The largest batch, in halves of the one asked for, whose step fits by ``training_memory``; None if none does."""
    try:
        summary = summarize(model, shape)
        each = summary.training_memory(batch_size=4) / 4
    except (SmallnetsError, RuntimeError, TypeError, ValueError):
        return None
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    state = STATES.get(options.optimizer, 2) if isinstance(options.optimizer, str) else 2
    room = USABLE * memory - weights * (2 + state + (options.ema is not None))
    batch = options.batch_size // 2
    while batch > 1 and batch * each > room:
        batch //= 2
    return batch if batch > 1 and batch * each <= room else None


def total_memory(device: torch.device) -> int:
    """Bytes that a device has, or that are this process's to take of it; 0 where it does not say."""
    if device.type == "cuda":
        share = torch.cuda.get_per_process_memory_fraction(device)
        return int(share * torch.cuda.get_device_properties(device).total_memory)
    if device.type == "xpu":
        return int(torch.xpu.get_device_properties(device).total_memory)
    return int(torch.mps.recommended_max_memory()) if device.type == "mps" else 0
