"""torchvision's weights: members of its enums, by their name too."""

import os
import re
from collections.abc import Mapping
from enum import Enum
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError, first_line, message, nearest
from ..files import is_there

NAME = re.compile(r"(\w+_Weights\.)?(DEFAULT|IMAGENET1K_\w+)|imagenet")


def as_member(source: object, zoo_name: str) -> Enum | None:
    """The member of a torchvision enum that a source is, or names; None where it is another kind of source.

    Args:
        source: What ``weights=`` was given.
        zoo_name: torchvision's name of the net, for names without an enum ("DEFAULT", or "imagenet" for it).

    Raises:
        WeightsError: When torchvision has no weights of that name.
    """
    if isinstance(source, Enum):
        return source
    text = os.fspath(source) if isinstance(source, os.PathLike) else source
    if not isinstance(text, str) or not NAME.fullmatch(text) or is_there(text):
        return None
    from torchvision import models

    try:
        if "." in text:
            return models.get_weight(text)
        return models.get_model_weights(zoo_name)["DEFAULT" if text == "imagenet" else text]
    except (KeyError, ValueError):
        if "." not in text and zoo_name not in models.list_models():
            advice = "torchvision has none of this net; give a file or a state dict."
            wanted = f"weights that torchvision has for {zoo_name or 'such a net'}"
            raise WeightsError(message("load_weights", wanted, repr(text), advice)) from None
        allowed = [f"{enum.__name__}.{name}" for enum in enums().values() for name in enum.__members__]
        advice = nearest(text, allowed) or "torchvision.models.list_models() lists its nets."
        raise WeightsError(message("load_weights", "the name of torchvision weights", repr(text), advice)) from None


def enums() -> dict[str, type[Enum]]:
    from torchvision import models

    return {name: models.get_model_weights(name) for name in models.list_models()}


def entries_of(member: Enum) -> dict[str, Tensor]:
    """What the file of a member holds, without values and before it is downloaded; nothing where that is not known."""
    from torchvision import models

    name = next((name for name, enum in enums().items() if isinstance(member, enum)), "")
    try:
        alone = (
            {"weights_backbone": None}
            if "weights_backbone" in signature(models.get_model_builder(name)).parameters
            else {}
        )
        with torch.device("meta"):
            return models.get_model(name, **alone).state_dict()
    except Exception:  # a net of torchvision's that cannot be built like this is found out by its file
        return {}


def download(member: Enum) -> Mapping[str, Any]:
    """The file of a member; the download is torchvision's own, or none where an earlier one left it in its cache.

    Raises:
        WeightsError: When it cannot be had; with the way by a path.
    """
    get_state_dict = getattr(member, "get_state_dict", None)
    if get_state_dict is None:
        raise WeightsError(message("load_weights", "a torchvision weights enum", repr(member)))
    try:
        return get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu")
    except Exception as error:  # the network and the cached file both fail in many ways
        url = str(getattr(member, "url", ""))
        advice = f"Download {url} elsewhere and give its path, weights={url.rpartition('/')[2]!r}."
        expected = f"torchvision to give {member}"
        raise WeightsError(message("load_weights", expected, first_line(error)[:80], advice)) from None
