"""One whole experiment, as ``smallnets fit`` runs it: data, net, training, and the test split touched once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.imageset import ImageSet, ImageStream
from ..data.sources import NAMES, has_split, load
from ..errors import DataError, OptionError, ShapeError, message
from ..models.base import Net
from ..models.build import build, entry
from ..training.evaluate import evaluate
from ..training.fit import fit
from ..training.group import Group, current_group
from ..training.options import FitOptions
from ..training.plan.plan import choose_device
from .report import read_report, write_report

VALIDATION = 0.1  # share of the training split that is held out
FILES = "last.ckpt best.ckpt metrics.csv config.json curves.png confusion.png grid.png predictions.csv report.json"

Pictures = ImageSet | ImageStream


@dataclass
class Experiment:
    """What ``smallnets fit`` was asked to do.

    Attributes:
        name: A net of the zoo.
        options: Its builder's options; classes and channels come from the data unless given.
        source: A data set's name or path.
        val: The split to validate on; None holds out a tenth of the training split.
        test: The split to test on.
        loading: Keywords of ``load``.
        settings: Keywords of ``fit``; the net's recipe fills in what is missing.
    """

    name: str
    options: Mapping[str, Any]
    source: str
    val: str | None
    test: str
    loading: Mapping[str, Any]
    settings: Mapping[str, Any]

    def run(self) -> Iterator[str]:
        """Do it; yields the lines of the report."""
        if self.test in ("train", self.val):
            advice = "A test split is looked at once, at the end; hold out another for validation."
            raise OptionError(message("fit", "a test split that is used for nothing else", repr(self.test), advice))
        recipe = vars(entry(self.name).recipe)
        settings = FitOptions(**{**recipe, **self.settings})
        with torch.device("meta"):
            build(self.name, **self.options)  # wrong options come to light before any picture is read
        self._check_test()
        group = current_group(choose_device(settings.device))
        train, loading = self._load_for_net(download_once(self.source, self.loading, group))
        if self.val is None:
            train, val = train.split(VALIDATION, seed=settings.seed)
        else:
            val = load(self.source, self.val, **loading)
        torch.manual_seed(settings.seed)
        net = self._build(train)
        folder = Path(str(settings.run_dir))
        done = read_report(folder)
        leads = group.leads
        history = fit(net, train, val, options=settings)
        if done is not None and done["epochs"] == len(history) and done["test_split"] == self.test:
            if leads:
                yield f"The run in {folder} is complete; this is its report."
                yield from lines(done, folder)
            return
        test = self._load_test(loading)
        if test is None:
            if leads:
                yield f"No {self.test!r} split in {self.source}: nothing was tested."
            return
        how: dict[str, Any] = {
            "device": settings.device,
            "precision": "fp32" if settings.deterministic else settings.precision,
        }
        metrics = evaluate(net, test, **how)  # all processes share this
        if leads:
            known = {"data": self.source, "classes": list(train.classes), "test_split": self.test}
            report = write_report(folder, net, test, metrics, history, how, **known)
            yield from lines(report, folder)

    def _check_test(self) -> None:
        """A test split that was asked for by name is there; its pictures are looked at when all is done."""
        path = Path(self.source)
        if self.test != "test" and (self.source in NAMES or (path.exists() and not has_split(path, self.test))):
            advice = "Name another, or leave --test out."
            raise DataError(message("fit", f"a split {self.test!r} in {self.source} to test on", "none", advice))

    def _build(self, train: Pictures) -> Net:
        known = {"num_classes": len(train.classes), "in_channels": shape_of(train)[0]}
        return build(self.name, **{**known, **self.options})

    def _load_for_net(self, loading: dict[str, Any]) -> tuple[Pictures, dict[str, Any]]:
        """The training split at a size that the net takes, and the keywords that make other splits alike."""
        train = load(self.source, "train", **loading)
        if loading["size"] is None and not self._takes(train):
            with torch.device("meta"):
                natural = build(self.name, **self.options).input_size
            loading["size"] = natural[1:]
            train = load(self.source, "train", **loading)
        channels, *size = shape_of(train)
        return train, {**loading, "size": tuple(size), "classes": list(train.classes), "channels": channels}

    def _takes(self, train: Pictures) -> bool:
        """Whether the net takes the pictures as they are."""
        if train.shape is None:
            return False
        channels, height, width = train.shape
        try:
            with torch.device("meta"):
                net = build(self.name, **{"in_channels": channels, **self.options}).eval()
                net(torch.empty(2, net.input_size[0], height, width))
        except ShapeError:
            return False
        return True

    def _load_test(self, loading: Mapping[str, Any]) -> Pictures | None:
        """The test split; None where a folder or a zip has none."""
        if self.source not in NAMES and not has_split(Path(self.source).expanduser(), self.test):
            return None
        return load(self.source, self.test, **loading)


def download_once(source: str, loading: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """Keywords for ``load``; with several processes, the leader has fetched what is to be downloaded, for all."""
    if not loading["download"] or group.world == 1:
        return dict(loading)
    if group.leads:
        load(source, "train", **loading)
    group.wait()
    return {**loading, "download": False}


def shape_of(pictures: Pictures) -> tuple[int, int, int]:
    if pictures.shape is None:
        raise DataError(message("fit", "pictures of one size", "several", "Give --size."))
    return pictures.shape


def lines(report: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The report in words."""
    yield ""
    yield f"test accuracy   {report['test_accuracy']:.4f}  ({report['test_pictures']:,} pictures, looked at once)"
    yield f"validation      {report['val_accuracy']:.4f}  (best epoch {report['best_epoch']} of {report['epochs']})"
    yield f"training took   {report['seconds']:.1f} s  ({report['images_per_second']:,.0f} images/s at best)"
    yield f"parameters      {report['parameters']:,}"
    there = [name for name in FILES.split() if (folder / name).exists()]
    yield f"files in {folder}: {', '.join(there)}"
