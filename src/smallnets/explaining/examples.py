"""The pictures of a set that excite a channel most: what it has learnt to look for."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.imageset import ImageSet, ImageStream
from ..errors import DataError, message
from ..pyramid import FeaturePyramid
from ..training.evaluate import known_facts
from ..training.feed.batches import in_order, plan_batches
from ..training.feed.suits import check_first
from ..training.feed.understand import understand

CHANNELS, PICTURES = 6, 8  # of a layer; for each of them
SIDE = 64  # pixels of what is kept of a picture
BATCH = 128


@dataclass(frozen=True, eq=False)
class Examples:
    """What excites a channel most in a set, the strongest first.

    Attributes:
        channel: Its number.
        values: The largest number in its map, of each picture.
        ids: The pictures' names in the set.
        labels: What they show.
        pictures: The pictures, (count, C, h, w) uint8, none larger than 64 pixels a side.
    """

    channel: int
    values: Tensor
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    pictures: Tensor


def peaks(maps: Tensor) -> Tensor:
    """(N, C, h, w) or (N, C) -> (N, C): the largest number of each map."""
    return maps.flatten(2).amax(dim=2) if maps.dim() > 2 else maps


def strongest(
    model: nn.Module, pyramid: FeaturePyramid, maps: Mapping[str, Tensor], pictures: ImageSet | ImageStream
) -> dict[str, tuple[Examples, ...]]:
    """For the channels that one picture excites most, the pictures of a set that do so most.

    Args:
        model: On the CPU, in eval mode, with what it knows of its data.
        pyramid: Gives the maps of its layers.
        maps: Of the one picture, by the layer's name, a batch of one.
        pictures: The set, of which each picture is looked at once.

    Raises:
        DataError: When the net cannot take its pictures.
    """
    if not isinstance(pictures, ImageSet | ImageStream):  # pyright: ignore[reportUnnecessaryIsInstance]
        advice = "smallnets.data.load gives one."
        raise DataError(message("explain", "examples to be an ImageSet", f"a {type(pictures).__name__}", advice))
    channels = {name: peaks(one)[0].topk(min(CHANNELS, one.shape[1])).indices for name, one in maps.items()}
    samples = understand(pictures, "explain", model, known_facts(model))
    check_first(samples, model, "explain")
    found: dict[str, list[Tensor]] = {name: [] for name in maps}
    with torch.no_grad():
        for batch in in_order(samples, plan_batches(samples.count, BATCH), torch.device("cpu"), "explain"):
            for name, values in pyramid(batch.images).items():
                found[name].append(peaks(values)[:, channels[name]])
    best = {name: torch.cat(parts).topk(min(PICTURES, samples.count), dim=0) for name, parts in found.items()}
    return {
        name: tuple(
            examples(pictures, int(channel), values, rows)
            for channel, values, rows in zip(channels[name], top.values.T, top.indices.T, strict=True)
        )
        for name, top in best.items()
    }


def examples(pictures: ImageSet | ImageStream, channel: int, values: Tensor, rows: Tensor) -> Examples:
    """The rows of a set as they are shown."""
    ids = tuple(pictures.ids[row] for row in rows.tolist())
    labels = tuple(pictures.classes[label] for label in pictures.labels[rows].tolist())
    return Examples(channel, values, ids, labels, torch.stack([small(pictures[row][0]) for row in rows.tolist()]))


def small(picture: Tensor) -> Tensor:
    """At most ``SIDE`` pixels a side, squeezed to a square where it is larger: a set's pictures may differ in size."""
    if max(picture.shape[1:]) <= SIDE:
        return picture
    shrunk = F.interpolate(picture[None].float(), (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    return shrunk.round().clamp(0, 255).to(torch.uint8)
