"""The trained nets of the wheel: safetensors files beside this one, NET-WEIGHTS. No torch: only headers are read.

What is known of a net stands in its own file; a better file with the same name takes its place.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import OptionError, WeightsError, message, nearest
from ...files import is_there

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TrainedNet:
    """A trained net of the wheel, as ``pretrained`` lists it.

    Attributes:
        net: Its builder's name.
        weights: What ``weights=`` takes.
        accuracy: On the test split, of the bytes that are shipped.
        flipped: The same with ``tta="flip"``; None where a mirror image is another thing, as of digits.
        test_pictures: How many pictures that split has.
        parameters: Numbers that were trained.
        bytes: Size of the file.
        classes: In the order of the logits.
        source: The pictures that it was trained on.
        recipe: What trained it: ``smallnets recipe show NAME``.
        runs: How many nets were trained, of which validation pictures chose this one.
        spread: Standard deviation of those runs' test accuracies.
        seconds: Of training, this one run.
        hardware: On what.
        config: What builds the net, as ``net.config`` has it.
        path: The file.
    """

    net: str
    weights: str
    accuracy: float
    flipped: float | None
    test_pictures: int
    parameters: int
    bytes: int
    classes: tuple[str, ...]
    source: str
    recipe: str
    runs: int
    spread: float
    seconds: float
    hardware: str
    config: dict[str, Any]
    path: Path

    @property
    def name(self) -> str:
        """``"net:weights"``, which stands for the net in ``predict`` and on the command line."""
        return f"{self.net}:{self.weights}"

    def __str__(self) -> str:
        flipped = "" if self.flipped is None else f", {self.flipped:.4f} with flips,"
        return f"{self.name}: {self.accuracy:.4f}{flipped} of {self.test_pictures:,} test pictures ({self.source})"


def pretrained() -> tuple[TrainedNet, ...]:
    """The trained nets that come with the package; none is loaded for it, and nothing is downloaded.

    >>> [net.name for net in pretrained() if net.weights == "digits"]
    ['lenet5:digits']
    """
    return tuple(read(path) for path in sorted(FOLDER.glob("*.safetensors")))


def read(path: Path) -> TrainedNet:
    """What a file says of itself, from its header alone."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found: dict[str, Any] = json.loads(header["__metadata__"]["smallnets"])
    net, _, weights = path.stem.partition("-")
    known: dict[str, Any] = {name: found[name] for name in TrainedNet.__dataclass_fields__ if name in found}
    known |= {"classes": tuple(found["data_facts"]["classes"]), "bytes": path.stat().st_size}
    known |= {"net": net, "weights": weights, "path": path, "flipped": found.get("flipped")}
    return TrainedNet(**known)


def shipped(net: str, weights: object) -> TrainedNet | None:
    """The trained net that ``weights=`` of a builder names; None where it is another kind of source.

    Raises:
        WeightsError: When it is a bare word that neither names weights nor a file; with the names that there are.
    """
    if not isinstance(weights, str) or not weights or Path(weights).name != weights or Path(weights).suffix:
        return None
    found = [one for one in pretrained() if one.net == net]
    for one in found:
        if one.weights == weights:  # whatever file or folder of that name lies around
            return one
    if weights.isupper() or weights == "imagenet" or is_there(weights):
        return None  # torchvision's, or a file without an ending
    raise WeightsError(
        message(net, "the name of trained weights or a file", repr(weights), offers(net, weights, found))
    )


def offers(net: str, text: str, found: Iterable[TrainedNet]) -> str:
    """What to write instead of a wrong name of weights."""
    names = [one.weights for one in found]
    if not names:
        return f"No trained {net} comes with the package (it has {listed()}); give a file."
    return f"{nearest(text, names)} Its trained weights are {', '.join(map(repr, names))}; or give a file.".strip()


def trained(name: str) -> TrainedNet:
    """The trained net of a ``"net:weights"``.

    Raises:
        OptionError: When there is none; with the names that there are.
    """
    known = {one.name: one for one in pretrained()}
    if name not in known:
        advice = f"{nearest(name, known)} There are {listed()}.".strip()
        raise OptionError(message("smallnets", "a trained net", repr(name), advice))
    return known[name]


def is_trained_name(text: str) -> bool:
    """Whether a text has the form ``net:weights``, and is no path."""
    net, colon, weights = text.partition(":")
    return bool(colon) and net.isidentifier() and weights.isidentifier()


def listed() -> str:
    return ", ".join(one.name for one in pretrained()) or "none"
