"""The loss of a run, and pictures mixed within a batch.

N batch, C channels, H W pixels, K classes.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.stateless import key
from ...errors import OptionError, first_line, message
from ..evaluate import SetLoss, one_each
from ..feed.origin import labels_of
from ..feed.samples import Samples
from ..options import FitOptions, Loss, parse_mix

SMALLEST = torch.finfo(torch.float32).tiny


def make_loss(options: FitOptions, device: torch.device, weights: Tensor | None = None) -> tuple[Loss, SetLoss]:
    """The loss to train with, and the one to measure a set with: without label smoothing.

    Args:
        options: The settings of the run.
        device: Where the loss is computed.
        weights: Of the classes (classes,), in cross entropy.

    Raises:
        ValueError: When label smoothing or class weights are asked of a loss that is not ours.
    """
    if isinstance(options.loss, str):
        smoothing, own_weights = options.label_smoothing, None if weights is None else weights.to(device)

        if own_weights is None:
            return functools.partial(F.cross_entropy, label_smoothing=smoothing), SetLoss()
        weight: Callable[[Tensor], Tensor] = functools.partial(weight_of, own_weights)
        plain, smoothed = (
            over_weights(functools.partial(F.cross_entropy, weight=own_weights, label_smoothing=share), weight)
            for share in (0.0, smoothing)
        )
        return smoothed, SetLoss(plain, weight)
    for name, given, way in (
        ("label_smoothing", options.label_smoothing, "Smooth it yourself: CrossEntropyLoss(label_smoothing=...)."),
        ("class_weights", options.class_weights, "Weigh it yourself: CrossEntropyLoss(weight=...)."),
    ):
        if given:
            raise OptionError(message("fit", f"{name} with loss='cross-entropy' only", "a loss of yours", way))
    own: Any = options.loss
    if isinstance(own, nn.Module):  # it may hold weights of classes
        own = copy.deepcopy(own).to(device)
    weight = batch_weight(own)
    if weight is not one_each:
        own = over_weights(own, weight)

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
        if torch.is_grad_enabled() and logits.requires_grad and not found.requires_grad:
            raise OptionError(message("fit", "a loss with a gradient", "one cut off from the logits", advice))
        return found

    return checked, SetLoss(checked, weight)


def over_weights(own: Any, weight: Callable[[Tensor], Tensor]) -> Loss:
    """Torch's weighted mean, which of a batch without any weight is no number; this one is 0."""
    if isinstance(own, nn.Module):  # a copy
        own.reduction = "sum"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    total: Loss = own if isinstance(own, nn.Module) else functools.partial(own, reduction="sum")
    return lambda logits, labels: total(logits, labels) / weight(labels).clamp(min=SMALLEST)


def batch_weight(own: Any) -> Callable[[Tensor], Tensor]:
    """What a batch counts with in a user's loss over a whole set.

    That is exact where torch's weighted mean is known to be the loss; the mean of another counts with its size.
    """
    settings: dict[str, Any] = getattr(own, "keywords", {})
    if isinstance(own, nn.Module):
        ours = type(own).forward in (nn.CrossEntropyLoss.forward, nn.NLLLoss.forward)
        settings = {name: getattr(own, name, None) for name in ("weight", "ignore_index", "reduction")}
    else:
        ours = isinstance(own, functools.partial) and own.func in (F.cross_entropy, F.nll_loss) and not own.args
    if not ours or settings.get("reduction", "mean") != "mean":
        return one_each
    ignored, weights = settings.get("ignore_index", -100), settings.get("weight")
    if weights is None and ignored < 0:  # no label is below 0
        return one_each
    return functools.partial(weight_of, weights, ignored=ignored)


def weight_of(weights: Tensor | None, labels: Tensor, ignored: int = -100) -> Tensor:
    """The sum of the samples' weights, each that of its class; of the ignored label's none."""
    kept = labels != ignored
    each = kept.float() if weights is None else weights[labels.where(kept, 0)].float() * kept
    return each.sum()


def weights_of(options: FitOptions, train: Samples, logits: int) -> Tensor | None:
    """Weights of the classes; balanced ones as scikit-learn's: n / (classes * n of the class), so that all sum to n.

    Raises:
        OptionError: When they are not one a class, or nobody knows the labels without reading all samples.
    """
    given = options.class_weights
    if given is None:
        return None
    if given != "balanced":
        found = torch.tensor(given, dtype=torch.float32)
        if len(found) != logits:
            raise OptionError(message("fit", f"{logits} class_weights, one a logit", len(found)))
        return found
    labels = labels_of(train.data) if train.labels is None else train.labels
    if labels is None:
        advice = "Give class_weights= as a tensor, or a Dataset with .targets."
        raise OptionError(message("fit", "labels that are known beforehand for 'balanced'", "none", advice))
    counts = torch.bincount(labels, minlength=logits).double()
    balanced = len(labels) / (int((counts > 0).sum()) * counts)
    return torch.where(counts > 0, balanced, 1.0).float()


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
