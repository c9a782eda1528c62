"""Test-time augmentation: several views of a picture, their probabilities averaged.

N batch, C channels, H W pixels, K classes.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import OptionError, check_choice, check_ints, message
from ..models.alexnet import AlexNet
from ..models.vgg import VGG
from ..surgery import to_fully_convolutional
from .feed.suits import natural_input

NAMES = (None, "flip", "ten-crop", "dense")


class Views(nn.Module):
    """A net that looks at several views of each picture; its logits are the logarithms of the mean probabilities.

    Source:
        Krizhevsky et al. 2012, section 4.1 (ten crops); Simonyan & Zisserman 2015, section 3.2 (dense, over scales and
        the mirror image): softmax posteriors are averaged.
    """

    def __init__(self, model: nn.Module, tta: str | None, scales: Sequence[int] | None) -> None:
        super().__init__()
        check_views(tta, scales)
        if tta == "dense" and isinstance(model, VGG | AlexNet):
            model = to_fully_convolutional(model)
        elif tta == "dense":
            advice = "A net that ends in global pooling is dense as it is: take tta='flip' and scales."
            raise OptionError(message("evaluate", "a VGG or an AlexNet for tta='dense'", type(model).__name__, advice))
        self.model, self.tta, self.scales = model, tta, tuple(scales or ())
        natural = natural_input(model)
        self.side = None if natural is None else natural[1]

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N K
        total, count = torch.zeros(()), 0
        for view in self.views(x):
            logits = self.model(view).float()
            if logits.dim() == 4:  # the class map of a dense net is averaged over space
                logits = logits.mean(dim=(2, 3))
            total, count = total.to(logits.device) + logits.softmax(dim=1), count + 1
        return (total / count).clamp(min=1e-12).log()

    def views(self, x: Tensor) -> Iterator[Tensor]:
        """What the net looks at."""
        if self.tta == "ten-crop":
            yield from ten_crops(x, self.side or x.shape[2])
            return
        for scale in self.scales or (min(x.shape[2:]),):
            scaled = rescale(x, scale)
            yield scaled
            if self.tta in ("flip", "dense"):
                yield scaled.flip(3)


def check_views(tta: object, scales: Sequence[int] | None) -> None:
    """Refuse views that there are not.

    Raises:
        OptionError: Which option, and what is allowed.
    """
    check_choice("evaluate", "tta", tta, NAMES)
    check_ints("evaluate", "scales", "side", () if scales is None else scales)
    if tta == "ten-crop" and scales:
        raise OptionError(message("evaluate", "tta='ten-crop' without scales", list(scales), "Give one of the two."))


def rescale(x: Tensor, side: int) -> Tensor:
    """The pictures with their shorter side at ``side`` pixels, bilinearly, proportions kept."""
    height, width = x.shape[2:]
    shorter = min(height, width)
    if shorter == side:
        return x
    size = [max(1, round(height * side / shorter)), max(1, round(width * side / shorter))]
    return F.interpolate(x, size, mode="bilinear", antialias=side < shorter)


def ten_crops(x: Tensor, side: int) -> Iterator[Tensor]:
    """Four corners and the centre, and their mirror images, of a picture that is first made larger, if need be."""
    if min(x.shape[2:]) <= side:
        x = rescale(x, side + 2 * round(side / 14))  # 256 for crops of 224, as in the papers
    height, width = x.shape[2:]
    bottom, right = height - side, width - side
    for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))):
        crop = x[:, :, top : top + side, left : left + side]
        yield crop
        yield crop.flip(3)
