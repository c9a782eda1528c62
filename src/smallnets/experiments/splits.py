"""The pictures of an experiment: which are trained on, held out and tested on, at a size that the net takes."""

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.archive import existing
from ..data.folders import find_pictures
from ..data.imageset import ImageSet, ImageStream
from ..data.labels import read_labels
from ..data.names import shown
from ..data.sources import NAMES, has_split, load
from ..errors import DataError, ShapeError, check_int, message
from ..models.build import build, entry
from ..training.group import Group

SMALL = 64  # pixels; below it the command line gives a net the form that is made for small pictures
SMALL_FORMS = {"stem": "cifar", "head": "linear"}  # of ResNets and AlexNet, and of VGGs

TENTH = 0.1  # share that is held out for validation, and for the test where there are no splits

Pictures = ImageSet | ImageStream


@dataclass(frozen=True)
class Layout:
    """Which pictures of a source are for what; settled before any is read.

    Attributes:
        train: The split to train on; ``"."`` for class folders without splits.
        val: The split to validate on, or the share of the training split that is held out for it.
        test: The split to test on; None where there is none.
        held_out: Whether the test is a share of the training split.
        said: What a person should know of it.
    """

    train: str
    val: str | float
    test: str | None
    held_out: bool = False
    said: str = ""

    def words_of_val(self, count: int) -> str:
        named = f"split {self.val!r}" if isinstance(self.val, str) else "held out"
        return f"{count:,} to validate on ({named})"


@dataclass(frozen=True)
class Splits:
    """What an experiment trains on and holds out.

    Attributes:
        train: What is trained on.
        val: What is validated on, if anything.
        loading: Keywords of ``load`` that bring another split to the same form.
        layout: Which splits they are.
        test: What is tested on, where it was held out of the training split.
    """

    train: Pictures
    val: Pictures | None
    loading: Mapping[str, Any]
    layout: Layout
    test: Pictures | None = None


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
    net: str, options: Mapping[str, Any], train: Pictures, source: str, loading: Mapping[str, Any], split: str
) -> tuple[Pictures, dict[str, Any]]:
    """The training split at a size that the net takes, and the keywords that make other splits alike."""
    if loading.get("size") is None and not takes(net, options, train):
        with torch.device("meta"):
            natural = build(net, **options).input_size
        loading = {**loading, "size": natural[1:]}
        train = load(source, split, **loading)
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


def layout_of(source: str, loading: Mapping[str, Any], val: str | float | None, test: str | None) -> Layout:
    """Find out which splits there are; ``val`` None is the one for it, else a tenth of the training split.

    Raises:
        DataError: When a split that was asked for by name is not there, or one has classes that training has not.
    """
    if source in NAMES:
        if test not in (None, "test"):
            raise no_split(source, test)
        return Layout("train", TENTH if val is None else val, test)
    path = existing("load", source, "an existing folder or zip") if os.sep in source else Path(source)
    if not path.exists():  # load says what it takes it for
        return Layout("train", TENTH if val is None else val, test)
    labels = read_labels(loading.get("labels"), path)
    if not any(has_split(path, split, labels) for split in ("train", "val", "test")) and not isinstance(val, str):
        if test not in (None, "test"):
            raise no_split(source, test)
        return Layout(".", TENTH if val is None else val, None, held_out=test is not None)
    if val is None:
        val = "val" if has_split(path, "val", labels) else TENTH
    if test is None:
        return Layout("train", val, None)
    if not has_split(path, test, labels):
        if test != "test":
            raise no_split(source, test)
        return Layout("train", val, None, said=f"no split 'test' in {shown(source)}: nothing will be tested")
    try:
        with warnings.catch_warnings(record=True) as caught:  # to be said before training, not when they are loaded
            warnings.simplefilter("always")
            find_pictures(path, test, loading.get("classes"), labels)
    except DataError as error:
        if labels is None or test != "test":
            raise
        return Layout("train", val, None, said=f"split 'test' has no labels, so nothing will be tested ({error})")
    return Layout("train", val, test, said="; ".join(str(found.message) for found in caught))


def classes_of(source: str, split: str, known: Sequence[str], labels: str | None) -> list[str] | None:
    """The classes by which to load a split that a run is measured on; None leaves them to be mapped by name.

    Where the run's own training split is there, it may have been trained on some of its classes: the others are left
    out, with a warning.

    Raises:
        DataError: When the split has a class that its training split has not.
    """
    if source in NAMES or not Path(source).exists():
        return list(known) or None
    path = Path(source).expanduser()
    found = read_labels(labels, path)
    if split == "." or not has_split(path, "train", found):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when it is loaded
        find_pictures(path, split, None, found)
    return list(known) or None


def no_split(source: str, test: str | None) -> DataError:
    advice = "Name another, or leave --test out."
    return DataError(message("fit", f"a split {test!r} in {shown(source)} to test on", "none", advice))


def download_once(source: str, loading: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """Keywords for ``load``; with several processes, the leader has fetched what is to be downloaded, for all."""
    if not loading["download"] or group.world == 1:
        return dict(loading)
    if group.leads:
        load(source, "train", **loading)
    group.wait()
    return {**loading, "download": False}
