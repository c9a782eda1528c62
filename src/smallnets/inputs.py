"""What a net looks at before it computes: is this an input, or a feature map, that it can take?

Plain functions of tensors and rules, so that ``torch.fx.wrap`` keeps each as one node of a traced graph.
"""

import torch
from torch import Tensor, nn

from .errors import OptionError, message
from .shapes.input_rule import InputRule, refuse_input, refuse_lone_input, refuse_map


def check_input(x: Tensor, like: Tensor | None, rule: InputRule, training: bool) -> Tensor:
    """Pass ``x`` on, or say in one sentence why the net, whose first weights are ``like``, cannot take it."""
    check_tensor(x, "pictures", rule.net)
    if x.dim() != 4 or x.shape[1] != rule.channels or not x.is_floating_point():
        refuse_input(tuple(x.shape), None if x.is_floating_point() else x.dtype, rule)
    height, width = x.shape[2], x.shape[3]
    if rule.side is None:
        if height < rule.least or width < rule.least:
            refuse_input(tuple(x.shape), None, rule)
    elif height != rule.side or width != rule.side:
        refuse_input(tuple(x.shape), None, rule)
    minds = rule.lone_side and (training or rule.lone_mode == "eval")
    if minds and x.shape[0] == 1 and height <= rule.lone_side and width <= rule.lone_side:
        refuse_lone_input(tuple(x.shape), rule)
    check_kind(x, like, "pictures", rule.net)
    return x


def check_map(x: Tensor, like: Tensor | None, rule: InputRule, channels: int, side: int | None) -> Tensor:
    """Pass a feature map on, or say why the head of a net, whose first weights are ``like``, cannot take it."""
    check_tensor(x, "a feature map", rule.net)
    if x.dim() != 4 or x.shape[1] != channels:
        refuse_map(tuple(x.shape), rule.net, channels, side)
    height, width = x.shape[2], x.shape[3]
    if side is None:
        if height < 1 or width < 1:
            refuse_map(tuple(x.shape), rule.net, channels, side)
    elif height != side or width != side:
        refuse_map(tuple(x.shape), rule.net, channels, side)
    if x.dtype == torch.float64 or not x.is_floating_point():  # other kinds a net may mix, head and features
        check_kind(x, like, "a feature map", rule.net)
    return x


def check_tensor(x: object, what: str, net: str) -> None:
    """Refuse what is not a tensor."""
    if not isinstance(x, Tensor):
        expected, advice = f"{what} as a tensor", "Convert it: torch.as_tensor(x)."
        raise OptionError(message(net, expected, f"a {type(x).__name__}", "" if x is None else advice))


def check_kind(x: Tensor, like: Tensor | None, what: str, net: str) -> None:
    """Refuse numbers of another dtype, or in another place, than the weights they are to meet.

    Weights that a wrapper shards, replicates or keeps elsewhere until their turn are the wrapper's to match.
    """
    if like is None or (x.dtype == like.dtype and x.device == like.device):
        return
    if type(like) is not nn.Parameter or like.is_meta:
        return
    if x.device != like.device:
        expected = f"{what} on {like.device}, where its weights are"
        raise OptionError(message(net, expected, x.device, f"Move net or input: x.to({str(like.device)!r})."))
    # Autocast brings the usual kinds together, but leaves double precision alone.
    if torch.float64 in (x.dtype, like.dtype) or not torch.is_autocast_enabled(x.device.type):
        expected, advice = f"{what} of {like.dtype}, as its weights are", f"Convert: x.to({like.dtype})."
        raise OptionError(message(net, expected, x.dtype, advice))
