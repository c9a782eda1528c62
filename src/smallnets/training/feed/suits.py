"""Whether data suits a net: channels, classes, normalisation, as far as is known before it is read.

C channels, H W pixels.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, default_collate

from ...data.imageset import ImageSet, ImageStream, check_labels
from ...errors import DataError, OptionError, message
from ...warn import warn
from ..preserve import lent_generators
from .samples import Samples, Shape, picture_of

FEW = 64  # pictures in memory that are looked at for their range


def natural_input(model: nn.Module) -> tuple[int, int, int] | None:
    """(C, H, W) that the net names as its own, if it does."""
    size: object = getattr(model, "input_size", None)
    if not isinstance(size, tuple) or len(size) != 3:
        return None
    channels, height, width = size
    return int(channels), int(height), int(width)


def check_pictures(shape: Shape | None, model: nn.Module, who: str) -> None:
    """Refuse pictures of other channels than the net takes, where both are known.

    Raises:
        ValueError: How to mend it.
    """
    takes = natural_input(model)
    if takes is None or shape is None or len(shape) != 3 or shape[0] == takes[0]:
        return
    if shape[2] == takes[0] and shape[0] > 4:
        raise channels_last(shape, who)
    colour = {1: "one-channel (grey)", 3: "three-channel (colour)"}
    got = f"{colour.get(shape[0], f'{shape[0]}-channel')} pictures"
    advice = f"Build the net with in_channels={shape[0]}"
    advice += f", or load the pictures with channels={takes[0]}." if takes[0] in (1, 3) else "."
    raise DataError(message(who, f"{takes[0]}-channel pictures for this net", got, advice))


def check_classes(samples: Samples, model: nn.Module, who: str) -> None:
    """Refuse labels that the net has no logit for, where both are known.

    Raises:
        ValueError: How to mend it.
    """
    classes: int | None = getattr(model, "num_classes", None)
    if classes is None:
        return
    if samples.classes is not None and classes != len(samples.classes):
        advice = f"Build the net with num_classes={len(samples.classes)}."
        raise OptionError(message(who, f"{classes} classes, as the net has logits", len(samples.classes), advice))
    if samples.labels is not None:
        check_labels(who, samples.labels, classes)


def check_first(samples: Samples, model: nn.Module, who: str) -> None:
    """Look at what is to be measured before it is: channels, kind and range, as far as one picture tells them.

    Raises:
        DataError: When the net cannot take it, or nobody knows how it is normalised.
    """
    if isinstance(samples.data, ImageStream):
        check_pictures(samples.shape, model, who)
        check_normalised(samples, torch.uint8, who)
        return
    held = isinstance(samples.data, ImageSet)
    images = samples.data.images[:FEW] if isinstance(samples.data, ImageSet) else first_picture(samples)
    if images is None:
        return
    check_pictures(tuple(images.shape[-3:] if held else images.shape), model, who)
    check_normalised(samples, images.dtype, who)
    if images.is_floating_point() and samples.stats is not None and images.numel():
        low, high = images.min().item(), images.max().item()
        if low >= 0 and high <= 1 and samples.stats[0] != (0.0,) * len(samples.stats[0]):
            warn(
                f"{who}: floats are taken as they are, and these lie in [0, 1], while the net was trained on pictures "
                "from which the mean was subtracted; give it uint8, or normalise them by net.data_facts"
            )


def first_picture(samples: Samples) -> Tensor | None:
    """The first picture (C, H, W), read if need be; None where a DataLoader makes batches in a way of its own."""
    data = samples.data
    if isinstance(data, DataLoader):
        if data.collate_fn is not default_collate or isinstance(data.dataset, IterableDataset):
            return None
        data = data.dataset
    with lent_generators():
        return torch.as_tensor(picture_of(data[0]))


def check_normalised(samples: Samples, kind: torch.dtype, who: str) -> None:
    """Refuse bare uint8 pictures of which nobody knows mean and std.

    Raises:
        DataError: With the ways out.
    """
    if kind == torch.uint8 and samples.stats is None:
        raise unknown_stats(who)
    mean, shape = samples.stats[0] if samples.stats is not None else (), samples.shape
    if mean and shape is not None and len(shape) == 3 and len(mean) != shape[0] and kind == torch.uint8:
        got = f"{shape[0]}-channel ones"
        raise DataError(message(who, f"{len(mean)}-channel pictures, as the net was trained on", got))


def unknown_stats(who: str) -> DataError:
    """With two ways out: a set that knows, or a net that does."""
    got, tell = "a net that knows none", ", tell the net (net.data_facts = DataFacts(mean=..., std=...))"
    if who == "fit":  # whose training set tells the net
        got, tell = "a training set of floats that tells none", ""
    advice = f"Give an ImageSet{tell}, or normalise them yourself and give floats."
    return DataError(message(who, "mean and std by which to normalise uint8 pictures", got, advice))


def channels_last(shape: Shape, who: str) -> DataError:
    advice = "Turn them: images.permute(0, 3, 1, 2), or transforms.ToTensor() in a Dataset."
    return DataError(message(who, "pictures (C, H, W)", f"{shape}, channels last", advice))
