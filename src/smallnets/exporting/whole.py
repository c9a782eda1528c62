"""A net with what stands before and behind it, as one module: pictures in, probabilities or logits out.

N batch, C channels, H W pixels.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._version import __version__
from ..errors import OptionError, message
from ..facts import DataFacts, facts_of
from ..models.base import Net
from ..surgery import fuse

Pictures = Literal["uint8", "float", "normalised"]
WHAT = {
    "uint8": "pixels from 0 to 255",
    "float": "pixels from 0 to 1",
    "normalised": "pixels that are normalised already",
}


class Whole(nn.Module):
    """Normalisation, net, softmax: (N, C, H, W) -> (N, classes).

    Args:
        net: Gives logits.
        facts: What the pictures are normalised by; not asked where they are already.
        pictures: What comes in, see ``WHAT``.
        probabilities: What comes out; else logits.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, net: nn.Module, facts: DataFacts, pictures: Pictures, probabilities: bool) -> None:
        super().__init__()
        self.net, self.pictures, self.probabilities = net, pictures, probabilities
        white = 255.0 if pictures == "uint8" else 1.0
        self.register_buffer("mean", torch.tensor(facts.mean).view(-1, 1, 1) * white)
        self.register_buffer("scale", 1 / (torch.tensor(facts.std).view(-1, 1, 1) * white))

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures if self.pictures == "normalised" else (pictures.float() - self.mean) * self.scale
        logits = self.net(x)
        return torch.softmax(logits, dim=1) if self.probabilities else logits


@dataclass(frozen=True)
class Parts:
    """What is written: the module, an example of its input, and what it is to be checked against.

    Attributes:
        whole: On the CPU, in fp32, in eval mode; batch norms are folded.
        plain: The same without folding.
        shape: (C, H, W) of every picture.
        about: What stands beside it in the file, JSON-able.
    """

    whole: Whole
    plain: Whole
    shape: tuple[int, int, int]
    about: dict[str, Any]

    def example(self, count: int) -> Tensor:
        """Pictures of noise, always the same."""
        draw = torch.Generator().manual_seed(count)
        noise = torch.randint(0, 256, (count, *self.shape), generator=draw, dtype=torch.uint8)
        if self.whole.pictures == "uint8":
            return noise
        return noise / 255 if self.whole.pictures == "float" else (noise / 255 - 0.5) * 4


def parts_of(net: nn.Module, pictures: Pictures, probabilities: bool) -> Parts:
    """The net and all that belongs to it; it is left as it is.

    Raises:
        OptionError: When it does not know how its pictures are normalised, or of which size they are.
    """
    facts = facts_of(net) or DataFacts()
    own: tuple[int | None, ...] = net.input_size if isinstance(net, Net) else (None, None, None)
    outputs = net.num_classes if isinstance(net, Net) else len(facts.classes)
    if outputs == 0 and isinstance(net, Net) and probabilities:
        advice = "Take probabilities=False, which gives its features."
        raise OptionError(message("export", "a net with classes", "num_classes=0", advice))
    if pictures != "normalised" and not (facts.mean and facts.std):
        advice = "Set net.data_facts = DataFacts(mean=..., std=...), as fit and load do, or take pictures='normalised'."
        raise OptionError(message("export", "a net that knows mean and std of its pictures", "one without", advice))
    channels, height, width = facts.channels or own[0], *(facts.size or own[1:])
    if channels is None or height is None or width is None:
        advice = "Set net.data_facts = DataFacts(channels=..., size=(h, w), mean=..., std=...)."
        raise OptionError(message("export", "a net that knows the size of its pictures", "one without", advice))
    shape = channels, height, width
    if pictures != "normalised" and not {len(facts.mean), len(facts.std)} <= {1, channels}:
        got = f"{len(facts.mean)} and {len(facts.std)} for {channels}"
        raise OptionError(message("export", "a mean and a std for each channel", got, "Mend net.data_facts."))
    plain = copy.deepcopy(net).cpu().float().eval()
    try:
        folded = fuse(plain)
    except OptionError:  # what cannot be traced keeps its batch norms, which compute the same
        folded = plain
    about = {
        "classes": list(facts.classes) if len(facts.classes) == outputs else [],  # of another head than this
        "pictures": pictures,
        "output": "probabilities" if probabilities else "logits",
        "shape": list(shape),
        "crop": facts.crop,
        "exif": facts.exif,
        "mean": list(facts.mean),
        "std": list(facts.std),
        "source": facts.source,
        "net": getattr(net, "config", None) or type(net).__name__,
        "smallnets_version": __version__,
        "torch_version": str(torch.__version__),
    }
    whole, reference = (Whole(each, facts, pictures, probabilities).eval() for each in (folded, plain))
    return Parts(whole, reference, shape, about)
