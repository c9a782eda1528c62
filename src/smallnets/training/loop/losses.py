"""The loss of a run, and pictures mixed within a batch.

N batch, C channels, H W pixels, K classes.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.stateless import key
from ...errors import OptionError, first_line, message
from ..options import FitOptions, Loss, parse_mix


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
