"""What ``fit`` looks at before it starts: net and data must go together, and no classic mistake be in sight."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from ...data.names import counted, listed
from ...diagnosis.diagnose import first_look
from ...errors import DataError, OptionError, message
from ...warn import warn
from ..evaluate import check_count
from ..feed.batches import Batch
from ..feed.samples import Samples
from ..feed.suits import check_classes, check_pictures
from ..group import Group
from ..options import FitOptions
from ..plan.plan import Plan, logits_of
from ..preserve import named_tensors

CHECKED = 4  # pictures of the first batch that the rules see
LINES = 3  # of warnings


def check_run(
    model: nn.Module, train: Samples, val: Samples | None, options: FitOptions, group: Group, one_set: bool = False
) -> None:
    """Refuse what cannot be trained; warn of one set used twice.

    Raises:
        ValueError: What does not go together, and how to mend it.
    """
    check_trainable(model)
    check_pictures(train.shape, model, "fit")
    check_classes(train, model, "fit")
    if val is not None:
        check_classes(val, model, "fit")
        if val.is_loader and group.world > 1:
            advice = "Give the Dataset itself, or an ImageSet."
            raise OptionError(message("fit", "validation data that can be dealt out", "a DataLoader", advice))
        if one_set or val.data is train.data:
            warn("fit: train and val are one set; val_accuracy says nothing of new pictures")
    if train.labels is not None and len(train.labels.unique()) < 2:
        raise DataError(message("fit", "labels of at least two classes", "one class only", "Check the labels."))
    if isinstance(train.data, DataLoader):
        default = FitOptions()
        for name in ("batch_size", "augment"):
            if getattr(options, name) != getattr(default, name):
                got = f"{name}={getattr(options, name)!r}"
                raise OptionError(message("fit", "a DataLoader to be taken as it comes", got, f"Leave {name} out."))
        if group.world > 1 and not hasattr(train.data.sampler, "set_epoch"):
            advice = "Give it a DistributedSampler, or give the Dataset itself."
            raise OptionError(message("fit", "a distributed sampler under torchrun", "another", advice))


def check_trainable(model: nn.Module) -> None:
    """Refuse a net that computes and cannot learn.

    Raises:
        OptionError: For weights that are quantised, or made where nothing may ever be learnt.
    """
    made_from = "Train the net that it was made from, and quantise it then."
    kinds = [f"{type(part).__module__}." for part in (*model.modules(), *model.parameters())]
    if any(".quantized." in kind for kind in kinds) or any("quantiz" in type(p).__module__ for p in model.parameters()):
        raise OptionError(message("fit", "a net that can learn", "a quantised one", made_from))
    if any(tensor.is_inference() for _, tensor in named_tensors(model)):
        advice = "Build or load it outside of torch.inference_mode()."
        raise OptionError(message("fit", "a net that can learn", "one made under inference_mode", advice))


def probe(model: nn.Module, first: Batch, samples: Samples, plan: Plan) -> int:
    """Two samples through the net: does it give logits, and one a class?

    Returns:
        The number of logits.

    Raises:
        ValueError: When the outputs do not match the classes.
    """
    model.eval()
    with torch.inference_mode():
        logits = logits_of(model, first.images[:2], plan, "fit")
    known = samples.classes
    check_count(logits, samples, "fit")
    needed = 0 if samples.labels is None else int(samples.labels.max()) + 1
    if known is None and logits.shape[1] < needed:
        advice = f"Give the net {needed} outputs."
        raise OptionError(message("fit", f"{needed} logits, one a class", logits.shape[1], advice))
    return logits.shape[1]


def counted_words(train: Samples, val: Samples | None, logits: int) -> str:
    """How many pictures of how many classes a run trains and validates on."""
    words = f"training on {of_classes(train, logits)}"
    return words if val is None else f"{words}, validating on {of_classes(val, logits)}"


def of_classes(samples: Samples, logits: int) -> str:
    """How many samples there are, of how many classes; those that have none are named."""
    text = f"{counted(samples.count, 'picture')} of {counted(logits, 'class', 'classes')}"
    if samples.labels is None:
        return text
    present = torch.bincount(samples.labels, minlength=logits)[:logits] > 0
    absent = [(samples.classes or tuple(map(str, range(logits))))[place] for place in torch.nonzero(~present).flatten()]
    return f"{text} (none of {listed(absent)})" if absent else text


def look_over(model: nn.Module, first: Batch, samples: Samples, options: FitOptions) -> None:
    """Warn of the mistakes that a forward pass of a few pictures shows, in three lines at most."""
    known = None if samples.classes is None else len(samples.classes)
    found = first_look(model, first.images[:CHECKED], first.labels[:CHECKED], known, options.loss)
    lines = [f"fit: {one.rule}" + (f" at {one.path}" if one.path else "") + f": {one.advice}" for one in found]
    if len(lines) > LINES:
        lines[LINES - 1 :] = [f"fit: and {len(lines) - LINES + 1} more; smallnets.diagnose(net, size) lists them"]
    for line in lines:
        warn(line)
