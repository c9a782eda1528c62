"""The pictures of an experiment: which are trained on, held out and tested on, at a size that the net takes."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.imageset import ImageSet, ImageStream
from ..data.sources import NAMES, has_split, load
from ..errors import DataError, ShapeError, check_int, message
from ..models.build import build, entry
from ..training.group import Group

SMALL = 64  # pixels; below it the command line gives a net the form that is made for small pictures
SMALL_FORMS = {"stem": "cifar", "head": "linear"}  # of ResNets and AlexNet, and of VGGs

Pictures = ImageSet | ImageStream


@dataclass(frozen=True)
class Splits:
    """What an experiment trains on and holds out.

    Attributes:
        train: What is trained on.
        val: What is validated on, if anything.
        loading: Keywords of ``load`` that bring another split to the same form.
    """

    train: Pictures
    val: Pictures | None
    loading: Mapping[str, Any]


def shape_of(pictures: Pictures) -> tuple[int, int, int]:
    if pictures.shape is None:
        raise DataError(message("fit", "pictures of one size", "several", "Give --size."))
    return pictures.shape


def small_form(net: str, options: Mapping[str, Any], train: Pictures) -> tuple[dict[str, Any], str]:
    """The builder's options with the form made for small pictures, where they are small and the net has one.

    Returns:
        The options, and a line that says what was chosen and how to undo it.
    """
    known = inspect.signature(entry(net).builder).parameters
    name = next((name for name in SMALL_FORMS if name in known and name not in options), None)
    if name is None or train.shape is None or min(train.shape[1:]) >= SMALL:
        return dict(options), ""
    form, usual = SMALL_FORMS[name], known[name].default
    size = f"{train.shape[1]}x{train.shape[2]}"
    return {**options, name: form}, f"form   {name}={form}, made for pictures of {size}; --set {name}={usual} undoes it"


def to_size(
    net: str, options: Mapping[str, Any], train: Pictures, source: str, loading: Mapping[str, Any]
) -> tuple[Pictures, dict[str, Any]]:
    """The training split at a size that the net takes, and the keywords that make other splits alike."""
    if loading.get("size") is None and not takes(net, options, train):
        with torch.device("meta"):
            natural = build(net, **options).input_size
        loading = {**loading, "size": natural[1:]}
        train = load(source, "train", **loading)
    channels, *size = shape_of(train)
    return train, {**loading, "size": tuple(size), "classes": list(train.classes), "channels": channels}


def takes(net: str, options: Mapping[str, Any], train: Pictures) -> bool:
    """Whether a net takes the pictures as they are."""
    if train.shape is None:
        return False
    channels, height, width = train.shape
    try:
        with torch.device("meta"):
            built = build(net, **{"in_channels": channels, **options}).eval()
            built(torch.empty(2, built.input_size[0], height, width))
    except ShapeError:
        return False
    return True


def stratified_part(pictures: Pictures, count: int) -> Pictures:
    """Exactly ``count`` pictures, of each class its share, the same ones each time; all where there are no more.

    Raises:
        DataError: When that is less than two of each class.
    """
    check_int("fit", "limit", count)
    if count >= len(pictures):
        return pictures
    if count < 2 * len(pictures.classes):
        wanted = f"a limit of at least two pictures for each of the {len(pictures.classes)} classes"
        raise DataError(message("fit", wanted, count, f"Take {2 * len(pictures.classes)} or more."))
    labels, random = pictures.labels.numpy(), np.random.default_rng(0)
    # Where in its class, from 0 to 1, each picture stands in random order: the first ones by it are a fair part.
    places = np.zeros(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
        places[members[:2]] -= 1  # of a rare class, too, one to train on and one to hold out
    chosen = np.sort(np.argsort(places, kind="stable")[:count])
    return pictures[torch.from_numpy(chosen)]


def check_test(source: str, test: str) -> None:
    """A test split that was asked for by name is there; its pictures are looked at when all is done."""
    path = Path(source)
    if test != "test" and (source in NAMES or (path.exists() and not has_split(path, test))):
        advice = "Name another, or leave --test out."
        raise DataError(message("fit", f"a split {test!r} in {source} to test on", "none", advice))


def load_test(source: str, test: str, loading: Mapping[str, Any]) -> Pictures | None:
    """The test split; None where a folder or a zip has none."""
    if source not in NAMES and not has_split(Path(source).expanduser(), test):
        return None
    return load(source, test, **loading)


def download_once(source: str, loading: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """Keywords for ``load``; with several processes, the leader has fetched what is to be downloaded, for all."""
    if not loading["download"] or group.world == 1:
        return dict(loading)
    if group.leads:
        load(source, "train", **loading)
    group.wait()
    return {**loading, "download": False}
