"""How a net is run: device, precision, memory layout."""

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import OptionError, SmallnetsError, first_line, message
from ..options import FitOptions


@dataclass(frozen=True)
class Plan:
    """The way of running that a run keeps from its first step to its last."""

    device: torch.device
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    unfolded: tuple[str, ...] = ()  # convolutions whose weight gradient is a matrix product over unfolded maps

    def autocast(self) -> torch.autocast:
        """bf16 where the plan says so; fp32 also inside a caller's own autocast."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def arrange(self, images: Tensor) -> Tensor:
        """The batch in the plan's memory layout."""
        if images.dim() != 4 or not self.channels_last:
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def words(self) -> str:
        """The plan as a person says it.

        >>> Plan(torch.device("cpu"), "bf16", channels_last=True).words()
        'cpu, bf16, channels_last'
        """
        parts = [self.device.type, self.precision]
        parts += ["channels_last"] * self.channels_last + ["compiled"] * self.compile
        if self.unfolded:
            parts.append(f"{len(self.unfolded)} weight gradients unfolded")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device.type,
            "precision": self.precision,
            "channels_last": self.channels_last,
            "compile": self.compile,
            "unfolded": list(self.unfolded),
        }


def logits_of(model: nn.Module, images: Tensor, plan: Plan, who: str) -> Tensor:
    """What a net says of a batch under a plan: logits (N, classes), in fp32.

    Raises:
        ValueError: When the net cannot take the batch, or gives something else.
    """
    try:
        with plan.autocast():
            found = model(plan.arrange(images))
    except (RuntimeError, TypeError, IndexError, OptionError) as error:
        kind = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        if kind != torch.float32:
            advice = "Convert it: net.float(); precision='bf16' then computes in bf16."
            raise OptionError(message(who, "a net with weights of float32", kind, advice)) from error
        if isinstance(error, torch.OutOfMemoryError | SmallnetsError):
            raise
        wanted = f"a net that takes pictures {tuple(images.shape)} and nothing else"
        raise OptionError(message(who, wanted, f"one that does not ({first_line(error)})")) from error
    return check_logits(found, images, who)


def check_logits(found: object, images: Tensor, who: str) -> Tensor:
    """What a net gave, in fp32, if that is a row of logits a picture."""
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(images):
        got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        advice = "Wrap a net that gives more, so that its forward returns the logits."
        raise OptionError(message(who, "a net that gives logits (N, classes)", got, advice))
    return found.float()


def choose_device(device: str | torch.device) -> torch.device:
    """The device asked for; CUDA where there is one for ``"auto"``, else the CPU.

    Raises:
        ValueError: When it is no device, or not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        if str(place) == "cuda":  # under torchrun a GPU each
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))
        torch.zeros(1, dtype=torch.float64, device=place).item()  # sums are in it; Apple has none
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        advice = "Take 'auto' or 'cpu'."
        wanted = "a device of this machine that has float64"
        raise OptionError(message("device", wanted, repr(str(device)), advice)) from error
    return place


def fixed_plan(options: FitOptions, device: torch.device) -> Plan:
    """The plan where nothing is measured: every "auto" is fp32, contiguous, uncompiled."""
    precision = "fp32" if options.precision == "auto" else options.precision
    return Plan(device, precision, options.channels_last is True, options.compile is True)
