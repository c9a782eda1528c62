"""The VGG paper's way to train deep nets without batch norm: start from a shallower net that has been trained."""

from itertools import islice

import torch
from torch import nn

from ..errors import OptionError, message
from ..models.vgg import VGG
from ..taps import convolutions

COPIED_CONVOLUTIONS = 4  # section 3.1 of the paper


@torch.no_grad()
def grow(model: VGG, from_: VGG) -> VGG:
    """Start a VGG from a shallower one, in place: its first four convolutions and its linear layers are copied.

    Layers pair up by the paper's names, as its tables line up: the A net's four are conv1_1, conv2_1, conv3_1 and
    conv3_2. Batch norms go with their convolutions.

    Args:
        model: The deeper net; all its other layers keep the weights that they have.
        from_: The shallower net, trained.

    Returns:
        The deeper net.

    Raises:
        ValueError: When one is no VGG, ``from_`` is not shallower, or layers of a pair differ. Nothing was copied.

    Source:
        Simonyan & Zisserman 2015, section 3.1.

    >>> import torch
    >>> import smallnets as sn
    >>> shallow, deep = sn.vgg11(head="linear"), sn.vgg16(head="linear")
    >>> torch.equal(grow(deep, shallow).features[5].weight, shallow.features[3].weight)  # conv2_1
    True
    """
    for net in (model, from_):
        if not isinstance(net, VGG):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message("grow", "two VGGs", f"a {type(net).__name__}"))
    ours, theirs = convolutions(model), convolutions(from_)
    if len(theirs) >= len(ours):
        got = f"{len(theirs)} convolutions for {len(ours)}"
        raise OptionError(message("grow", "a shallower net to start from", got, "Swap the two."))
    pairs: list[tuple[str, nn.Module, nn.Module]] = []
    for name, layers in islice(theirs.items(), COPIED_CONVOLUTIONS):
        if name not in ours:
            advice = "Its blocks are of another depth; copy the layers by hand."
            raise OptionError(message("grow", f"a {name} in the deeper net", f"{', '.join(ours)}", advice))
        for own, given in zip(ours[name], layers, strict=True):
            if own is not None and given is not None:
                pairs.append((name, own, given))
            elif own is not given:
                raise OptionError(message("grow", "batch norm in both nets or in neither", "one with it", ""))
    heads = [[layer for layer in net.classifier if [*layer.parameters()]] for net in (model, from_)]
    if len(heads[0]) != len(heads[1]):
        got = f"{len(heads[0])} and {len(heads[1])} layers"
        raise OptionError(message("grow", "heads with equally many layers", got, "Build both with one head."))
    pairs += [(f"layer {i} of the head", *pair) for i, pair in enumerate(zip(*heads, strict=True), start=1)]
    for name, mine, other in pairs:
        refuse_unlike(name, mine, other)
    for _, mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    return model


def refuse_unlike(name: str, mine: nn.Module, other: nn.Module) -> None:
    shapes = [{key: tuple(value.shape) for key, value in layer.state_dict().items()} for layer in (mine, other)]
    if shapes[0] != shapes[1]:
        advice = "Build both with the same channels, head and num_classes."
        raise OptionError(message("grow", f"{name} of {shapes[0]}", shapes[1], advice))
