"""What surrounds a forward pass: the net compiled and distributed, its random draws, the user's augmentation."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import OptionError, SmallnetsError, message
from ..feed.feed import has_batch_norm
from ..group import Group
from ..plan.compiling import compiled
from ..plan.plan import Plan


def parallel(model: nn.Module, plan: Plan, group: Group) -> nn.Module:
    """The net compiled and distributed, as the plan and the group say."""
    net: nn.Module = compiled(model, plan.compile) if plan.compile else model
    if group.world == 1:
        return net
    ids = [plan.device.index] if plan.device.type == "cuda" else None
    with group.one_message():
        return nn.parallel.DistributedDataParallel(net, device_ids=ids)


@contextlib.contextmanager
def plain_norm_error(model: nn.Module, images: Tensor) -> Generator[None, None, None]:
    """Torch's error of a batch norm over one value, in one sentence.

    Raises:
        ValueError: Instead of torch's.
    """
    try:
        yield
    except ValueError as error:
        if len(images) > 1 or not has_batch_norm(model) or isinstance(error, SmallnetsError):
            raise
        advice = "Take another batch_size, or drop_last=True in a DataLoader."
        raise OptionError(message("fit", "at least two samples a batch for batch norm", len(images), advice)) from error


def augmented(augment: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The batch that a user's augmentation makes of a batch.

    Raises:
        ValueError: When it is none of as many pictures.
    """
    found: Any = augment(images)
    if not isinstance(found, Tensor) or found.shape[:1] != images.shape[:1]:
        got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise OptionError(message("fit", f"augment to give {len(images)} pictures, as it was given", got))
    return found


def seed_draws(device: torch.device, seed: int) -> None:
    """Seed what dropout, and whatever else the net draws, draws from; torch.manual_seed takes 0.3 ms to ask round."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)
