"""What happens between a batch and an update: optimisers, loss, mixing, averaged weights.

N batch, C channels, H W pixels, K classes.
"""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.stateless import key
from ..errors import OptionError, first_line, message
from .options import FitOptions, parse_mix
from .plan import state_tensors

Loss = Callable[[Tensor, Tensor], Tensor]


def make_optimizer(options: FitOptions, model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a name (fused where torch has it), or the user's own.

    Raises:
        ValueError: When nothing is left to train, or an instance holds other parameters than the net's.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise OptionError(message("fit", "a net with parameters to train", "none with requires_grad"))
    chosen = options.optimizer
    if not isinstance(chosen, str):
        if not isinstance(chosen, torch.optim.Optimizer):
            wanted = inspect.signature(chosen).parameters
            chosen = chosen(parameters, lr=options.lr) if "lr" in wanted else chosen(parameters)
        return check_optimizer(chosen, model)
    fused = device.type in ("cpu", "cuda") and all(p.is_floating_point() for p in parameters)
    common: dict[str, Any] = {"lr": options.lr, "weight_decay": options.weight_decay, "fused": fused}
    if chosen == "sgd":
        return torch.optim.SGD(parameters, momentum=options.momentum, **common)
    return (torch.optim.Adam if chosen == "adam" else torch.optim.AdamW)(parameters, **common)


def check_optimizer(chosen: object, model: nn.Module) -> torch.optim.Optimizer:
    """A user's optimiser, if it can train this net a step at a time."""
    if not isinstance(chosen, torch.optim.Optimizer):
        raise OptionError(message("fit", "an optimizer, or a factory that makes one", repr(chosen)))
    if isinstance(chosen, torch.optim.LBFGS):
        raise OptionError(message("fit", "an optimizer that computes the loss once a step", "LBFGS"))
    own = {id(p) for p in model.parameters()}
    if not all(id(p) in own for group in chosen.param_groups for p in group["params"]):
        raise OptionError(message("fit", "an optimizer over the parameters of this net", "one over others"))
    return chosen


def make_loss(options: FitOptions, device: torch.device) -> tuple[Loss, Loss]:
    """The loss to train with, and the one to report on validation: without label smoothing.

    Raises:
        ValueError: When label smoothing is asked of a loss that is not ours to smooth.
    """
    if isinstance(options.loss, str):
        smoothing = options.label_smoothing

        def smoothed(logits: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)

        return smoothed, F.cross_entropy
    if options.label_smoothing:
        advice = "Smooth it yourself: CrossEntropyLoss(label_smoothing=...)."
        raise OptionError(message("fit", "label_smoothing with loss='cross-entropy' only", "a loss of yours", advice))
    own: Any = options.loss
    if isinstance(own, nn.Module):  # it may hold weights of classes
        own = copy.deepcopy(own).to(device)

    def checked(logits: Tensor, labels: Tensor) -> Tensor:
        advice = "Return the mean over the samples, as nn.CrossEntropyLoss() does."
        try:
            found = own(logits, labels)
        except (RuntimeError, TypeError, ValueError) as error:
            got = first_line(error)
            wanted = f"a loss of logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
            raise OptionError(message("fit", wanted, got, advice)) from error
        if not isinstance(found, Tensor) or found.dim():
            got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise OptionError(message("fit", "a loss that is a tensor of one number", got, advice))
        if logits.requires_grad and not found.requires_grad:
            raise OptionError(message("fit", "a loss with a gradient", "one cut off from the logits", advice))
        return found

    return checked, checked


class Mixer:
    """MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019): pictures mixed within a batch, and their losses."""

    def __init__(self, text: str | None, seed: int) -> None:
        self.name, self.alpha = parse_mix(text) if text is not None else ("", 1.0)
        self.seed = seed

    def __call__(self, images: Tensor, labels: Tensor, loss: Loss, *where: int) -> tuple[Tensor, Loss]:
        """The mixed pictures, and the loss that knows both labels; ``where`` (step, process) seeds the draw."""
        if not self.name:
            return images, loss
        random = np.random.default_rng(key(self.seed, 2, *where))
        share = float(random.beta(self.alpha, self.alpha))
        partner = torch.from_numpy(random.permutation(len(images))).to(images.device, non_blocking=True)
        if self.name == "mixup":
            mixed = images.lerp(images[partner], 1 - share)
        else:
            if images.dim() != 4:
                raise OptionError(message("fit", "pictures (N, C, H, W) for cutmix", tuple(images.shape)))
            height, width = images.shape[2:]
            top, bottom, left, right = cut_box(height, width, share, random)
            mixed = images.clone()
            mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
            share = 1 - (bottom - top) * (right - left) / (height * width)
        other = labels[partner]

        def both(logits: Tensor, first: Tensor) -> Tensor:
            return share * loss(logits, first) + (1 - share) * loss(logits, other)

        return mixed, both


def cut_box(height: int, width: int, share: float, random: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of (1 - share) of the area around a random centre, cut off at the edges: top, bottom, left, right."""
    side = (1 - share) ** 0.5
    y, x = int(random.integers(height)), int(random.integers(width))
    down, across = int(height * side) // 2, int(width * side) // 2
    return max(0, y - down), min(height, y + down), max(0, x - across), min(width, x + across)


class Average:
    """The exponential moving average of the weights; buffers that are not floats are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in state_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        state = model.state_dict()
        for name, mean in self.tensors.items():
            if mean.is_floating_point():
                mean.lerp_(state[name], 1 - self.decay)
            else:
                mean.copy_(state[name])

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the net's values and the averages, in place; a second time gives them back."""
        state = state_tensors(model)
        kept = {name: tensor.clone() for name, tensor in state.items()}  # all first: two names may share one tensor
        for name, tensor in state.items():
            tensor.copy_(self.tensors[name])
        self.tensors = kept

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            self.tensors[name].copy_(tensor)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all are numbers: one reduction, one sync a device."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    return bool(torch.nn.utils.get_total_norm(floats, norm_type=float("inf")).isfinite())


class Watch:
    """Looks out for a loss that is no number without waiting for the device at every step."""

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else 64  # on a CPU there is nothing to wait for
        self.seen: list[tuple[int, float, Tensor]] = []

    def note(self, step: int, lr: float, loss: Tensor) -> tuple[int, float] | None:
        """Remember a step's loss; now and then look: the first bad step and its rate."""
        self.seen.append((step, lr, loss.detach()))
        return self.look() if len(self.seen) >= self.every else None

    def look(self) -> tuple[int, float] | None:
        """The first step since the last look whose loss was no number, and its rate."""
        if not self.seen:
            return None
        fine = torch.stack([loss for _, _, loss in self.seen]).isfinite().tolist()
        bad = [(step, lr) for (step, lr, _), good in zip(self.seen, fine, strict=True) if not good]
        self.seen = []
        return bad[0] if bad else None
