"""How a net is run: device, precision, memory layout."""

import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ...errors import OptionError, SmallnetsError, first_line, message
from ...wording import no_memory
from ..options import FitOptions
from ..records import PlanRecord

GPUS = ("cuda", "xpu", "mps")  # what "auto" takes; no sum is left to them that needs float64, which Apple's lack


@dataclass(frozen=True)
class Plan:
    """The way of running that a run keeps from its first step to its last."""

    device: torch.device
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool | Literal["max-autotune"] = False
    graph: bool = False  # the update is captured once and replayed, on a GPU
    unfolded: tuple[str, ...] = ()  # convolutions whose weight gradient is a matrix product over unfolded maps

    def autocast(self) -> torch.autocast:
        """bf16 or fp16 where the plan says so; fp32 also inside a caller's own autocast."""
        low = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, low, enabled=self.precision != "fp32")

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
        parts += ["channels_last"] * self.channels_last
        if self.compile:
            parts.append("compiled" if self.compile is True else f"compiled ({self.compile})")
        parts += ["as a graph"] * self.graph
        if self.unfolded:
            parts.append(f"{len(self.unfolded)} weight gradients unfolded")
        return ", ".join(parts)

    def to_record(self) -> PlanRecord:
        return {
            "device": self.device.type,
            "precision": self.precision,
            "channels_last": self.channels_last,
            "compile": self.compile,
            "graph": self.graph,
            "unfolded": list(self.unfolded),
        }


def without_autocast(device: torch.device) -> torch.autocast:
    """A run in which autocast is the net's alone, whatever surrounds it.

    Within another autocast the weights that were cast are kept until that one ends, whoever changes them meanwhile: so
    none are kept.
    """
    return torch.autocast(device.type, enabled=False, cache_enabled=False)


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
        if isinstance(error, SmallnetsError) or no_memory(error):
            raise
        wanted = f"a net that takes pictures {tuple(images.shape)} and nothing else"
        got = f"one that does not ({first_line(error)[:160].rstrip('.')})"
        swapped = images.dim() == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] > 4
        advice = "If these are (N, H, W, C), give images.permute(0, 3, 1, 2)." if swapped else ""
        raise OptionError(message(who, wanted, got, advice)) from error
    return check_logits(found, images, who)


def check_logits(found: object, images: Tensor, who: str) -> Tensor:
    """What a net gave, in fp32, if that is a row of logits a picture."""
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(images):
        got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        advice = "Wrap a net that gives more, so that its forward returns the logits."
        raise OptionError(message(who, "a net that gives logits (N, classes)", got, advice))
    return found.float()


def choose_device(device: str | torch.device) -> torch.device:
    """The device asked for; for ``"auto"`` the GPU that there is (``cuda``, ``xpu``, ``mps``), else the CPU.

    Raises:
        ValueError: When it is no device, or not there.
    """
    if isinstance(device, str) and device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        device = found.type if found is not None and found.type in GPUS else "cpu"
    try:
        place = torch.device(device)
        if str(place) == "cuda":  # under torchrun a GPU each
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))
        torch.zeros(1, device=place).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        advice = "Take 'auto' or 'cpu'."
        wanted = "a device of this machine"
        raise OptionError(message("device", wanted, repr(str(device)), advice)) from error
    return place


def bf16_is_emulated(device: torch.device) -> bool:
    """Whether a GPU has no bf16 of its own, as those before Ampere (Turing, Volta, Pascal): fp16 is theirs."""
    return device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)


def fixed_plan(options: FitOptions, device: torch.device, stored: PlanRecord | None = None) -> Plan:
    """The plan where nothing is measured: every "auto" is as in a stored plan, else fp32, contiguous, uncompiled."""
    known = PlanRecord() if stored is None else stored
    return Plan(
        device,
        known.get("precision", "fp32") if options.precision == "auto" else options.precision,
        known.get("channels_last", False) if options.channels_last == "auto" else options.channels_last,
        known.get("compile", False) if options.compile == "auto" else options.compile,
        known.get("graph", False) and options.compile is not False and not options.deterministic,
        tuple(known.get("unfolded", ())),
    )
