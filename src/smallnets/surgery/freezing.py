"""What of a net learns, and how fast."""

from typing import Any, TypeVar

from torch import nn

from ..errors import OptionError, check_number, check_text, message, nearest
from ..models.base import Net
from ..models.vgg import VGG
from ..taps import check_module, taps
from .norms import set_frozen

M = TypeVar("M", bound=nn.Module)


ParameterGroup = dict[str, Any]  # as torch's optimizers take it: name, params, lr


def freeze(model: M, upto: str | None) -> M:
    """Freeze a model from its input up to a stage, in place; what lies behind learns.

    Frozen parameters get no gradients, and frozen batch norms keep their statistics and stay in eval mode, whatever
    ``train()`` says. Another call moves the line, as in gradual unfreezing.

    Args:
        model: Any module; its layers are taken in the order in which they were registered.
        upto: The last stage to freeze: one of ``feature_info``, the path of any layer, or one of the paper's names in
            a VGG (``"conv3_3"``); None lets everything learn.

    Returns:
        The model.

    Raises:
        ValueError: When there is no such stage; those that there are get listed.

    >>> import smallnets as sn
    >>> net = freeze(sn.resnet20(), "layer2")
    >>> net.layer2[0].conv1.weight.requires_grad, net.layer3[0].conv1.weight.requires_grad
    (False, True)
    """
    check_module("freeze", model)
    if upto is not None:
        check_text("freeze", "upto", upto)
    last = -1 if upto is None else end_of(model, upto)
    for i, (_, layer) in enumerate(model.named_modules()):
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(i > last)
        set_frozen(layer, frozen=i <= last)
    return model


def parameter_groups(model: nn.Module, lr: float, decay: float = 0.5) -> list[ParameterGroup]:
    """Groups for an optimizer, in which each stage learns slower than the one behind it.

    Args:
        model: A net of the zoo, or any module (whose children are then the stages).
        lr: Learning rate of the head.
        decay: Factor from one stage to the one before it, in (0, 1]; 1 gives every stage the same rate.

    Returns:
        The groups from the input to the head, each with the name of its stage; what is frozen is in none.

    Raises:
        ValueError: When ``lr`` or ``decay`` is out of range, or everything is frozen.

    Source:
        Howard & Ruder 2018 (arXiv:1801.06146), section 3.2, discriminative fine-tuning.

    >>> import smallnets as sn
    >>> [(group["name"], group["lr"]) for group in parameter_groups(sn.resnet20(), 0.1)]
    [('layer1', 0.0125), ('layer2', 0.025), ('layer3', 0.05), ('head', 0.1)]
    """
    check_module("parameter_groups", model)
    check_number("parameter_groups", "lr", lr, 0)
    check_number("parameter_groups", "decay", decay, 0)
    if not 0 < decay <= 1:
        raise OptionError(message("parameter_groups", "decay to be above 0 and at most 1", repr(decay)))
    stages = [stage.name for stage in model.feature_info] if isinstance(model, Net) else children_before_head(model)
    ends = {name: end_of(model, name) for name in stages}
    groups: dict[str, ParameterGroup] = {name: {"name": name, "params": []} for name in (*stages, "head")}
    for i, (_, layer) in enumerate(model.named_modules()):
        stage = next((name for name, end in ends.items() if i <= end), "head") if i else "head"
        groups[stage]["params"] += [p for p in layer.parameters(recurse=False) if p.requires_grad]
    for depth, group in enumerate(reversed(groups.values())):
        group["lr"] = lr * decay**depth
    found = [group for group in groups.values() if group["params"]]
    if not found:
        advice = "Let some of it learn: freeze(model, upto=...)."
        raise OptionError(message("parameter_groups", "parameters that learn", "a model that is all frozen", advice))
    return found


def children_before_head(model: nn.Module) -> list[str]:
    """The top-level layers that have parameters, but for the last."""
    return [name for name, child in model.named_children() if [*child.parameters()]][:-1]


def end_of(model: nn.Module, stage: str) -> int:
    """The number of the last layer of a stage, counted as ``named_modules`` does."""
    names = [name for name, _ in model.named_modules()]
    path = taps(model)[stage].path if isinstance(model, VGG) and stage in taps(model) else stage
    inside = [i for i, name in enumerate(names) if name == path or name.startswith(f"{path}.")]
    if not path or not inside:
        own = [info.name for info in model.feature_info] if isinstance(model, Net) else names[1:]
        own += list(taps(model)) if isinstance(model, VGG) else []
        advice = f"{nearest(stage, [*own, *names])} The stages are {', '.join(own)}.".strip()
        raise OptionError(message("freeze", "the name of a stage or the path of a layer", repr(stage), advice))
    return inside[-1]
