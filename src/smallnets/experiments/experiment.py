"""One whole experiment, as ``smallnets fit`` runs it: data, net, training, and the test split touched once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..data.names import shown
from ..data.sources import load
from ..errors import OptionError, RunError, message
from ..models.base import Net
from ..models.build import build
from ..models.vgg import VGG
from ..surgery import freeze, grow
from ..training.checkpoint.files import LAST, PREVIOUS
from ..training.checkpoint.run_folder import RunFolder, check_ours
from ..training.evaluate import evaluate
from ..training.feed.understand import understand
from ..training.fit import fit
from ..training.group import Group, current_group
from ..training.history import History
from ..training.loop.checks import check_run
from ..training.options import FitOptions
from ..training.plan.plan import choose_device
from ..training.tta import Views
from ..weights import load_weights
from .recipe import Recipe
from .report import Outcome, report_lines, write_report
from .runs import open_run, read_report, read_run
from .splits import (
    TENTH,
    Pictures,
    Splits,
    download_once,
    layout_of,
    shape_of,
    small_form,
    stratified_part,
    to_size,
)

ASKED = ("net", "options", "val", "test", "watched", "limit", "ways", "crop", "small_forms", "weights", "frozen")


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, how, and what is looked at when.

    Attributes:
        net: A net of the zoo.
        options: Its builder's options; classes and channels come from the data unless given.
        source: A data set's name or path.
        loading: Keywords of ``load``.
        settings: The options of ``fit``; ``run_dir`` is the folder of everything.
        val: The split to validate on, or the share of the training split that is held out for it, 0 for none; None is
            the split for it where there is one, else a tenth.
        test: The split to test on, once, at the end; None leaves it out.
        watched: The test split is looked at every epoch, as some reports do; then nothing is held out.
        limit: How many pictures of the training split there are to be, at most.
        grown_from: A run of a shallower VGG to start from.
        ways: Keywords of ``evaluate``, a set each: other ways to test the net.
        crop: Share of the shorter side that is seen, from the centre, of what is held out and of the test split.
        small_forms: Give a net for pictures under 64 pixels the form made for them.
        weights: A file to start from, or the name of trained weights; the head of other classes starts afresh.
        frozen: The last stage that does not learn.
        recipe: What asked for it, if a recipe did.
    """

    net: str
    options: Mapping[str, Any]
    source: str
    loading: Mapping[str, Any]
    settings: FitOptions
    val: str | float | None = TENTH
    test: str | None = "test"
    watched: bool = False
    limit: int | None = None
    grown_from: Path | None = None
    ways: Sequence[Mapping[str, Any]] = ()
    crop: float = 1.0
    small_forms: bool = False
    weights: str | None = None
    frozen: str | None = None
    recipe: Recipe | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        return Path(str(self.settings.run_dir))

    def run(self) -> Iterator[str]:
        """Do it; yields what a person wants to read of it, line by line."""
        self.check_asked()
        check_ours(self.folder)
        group = current_group(choose_device(self.settings.device))
        done = read_report(self.folder)
        self._check_start(done)
        if done is not None and self._is_report(done) and self.recipe is not None:  # of many runs none is read twice
            yield from self._told_again(done, group)
            return
        splits, options, said = self._read(group)
        torch.manual_seed(self.settings.seed)
        net = self._build(options, splits.train)
        check_run(net, understand(splits.train, "fit"), None, self.settings, group)  # before anything is said
        if group.leads:
            yield from self._introduction(net, splits)
            if said:
                yield said
            RunFolder(self.folder).note_start(self._start)
        history = fit(net, splits.train, splits.val, options=self.settings)
        if done is not None and done.get("epochs") == len(history) and self._asks_as(done):
            yield from self._told_again(done, group)
            return
        yield from self._test(net, splits, history, group)

    @property
    def asked(self) -> dict[str, Any]:
        """All that is asked for beside the options of ``fit``, as the report notes it: net, pictures, ways to test."""
        known: dict[str, Any] = {name: getattr(self, name) for name in ASKED}
        known["loading"] = {name: value for name, value in self.loading.items() if name not in ("root", "download")}
        known |= {"source": shown(self.source), "grown_from": self.grown_from is not None}
        return json.loads(json.dumps(known, default=lambda value: getattr(value, "__dict__", str(value))))

    @property
    def _start(self) -> dict[str, str | None]:
        """What the net starts from and what of it is held, as the report has it."""
        given = self.options.get("weights") if self.weights is None else self.weights
        grown = None if self.grown_from is None else "a shallower net"
        return {"weights": None if given is None else str(given), "frozen": self.frozen, "start": grown}

    def _check_start(self, done: Mapping[str, Any] | None) -> None:
        """A run, complete or interrupted, is not taken for one of another start."""
        interrupted = any((self.folder / name).exists() for name in (LAST, PREVIOUS))
        if done is None and interrupted:
            done = RunFolder(self.folder).start
        for option, name in (("--weights", "weights"), ("--freeze", "frozen"), ("start", "start")):
            if done is not None and done.get(name) != self._start[name]:
                asked = f"no {option}" if done.get(name) is None else f"{option} {done[name]}"
                expected = f"{asked}, as the run in {self.folder} had it"
                advice = "Give another run its own --run-dir."
                raise OptionError(message("fit", expected, self._start[name] or "none", advice))

    def _asks_as(self, done: Mapping[str, Any]) -> bool:
        """Whether a report is on what this experiment asks for, as far as the run itself does not tell."""
        return done.get("asked") == self.asked

    def _is_report(self, done: Mapping[str, Any]) -> bool:
        """Whether a report is on this very experiment, complete, so that no picture need be read."""
        try:
            run = read_run(self.folder)
        except RunError:  # a file is missing or broken: going on with the run writes it anew
            return False
        whole = done.get("epochs") == self.settings.epochs == len(run.rows)
        return whole and not self.settings.changes(run.config["options"]) and self._asks_as(done)

    def _told_again(self, done: Mapping[str, Any], group: Group) -> Iterator[str]:
        if group.leads:
            yield f"The run in {self.folder} is complete; this is its report."
            yield from report_lines(done, self.folder)

    def check_asked(self) -> None:
        """What is wrong with the options comes to light before any picture is read."""
        if self.test is not None and self.test in ("train", self.val):
            advice = "A test split is looked at once, at the end; hold out another for validation."
            raise OptionError(message("fit", "a test split that is used for nothing else", repr(self.test), advice))
        with torch.device("meta"):
            net = freeze(build(self.net, **{**self.options, "weights": None}), self.frozen)
            for way in self.ways if self.test is not None else ():
                Views(net, way.get("tta"), way.get("scales"))
        layout_of(self.source, self.loading, self.val, self.test)

    def _read(self, group: Group) -> tuple[Splits, dict[str, Any], str]:
        """The splits, the builder's options for them, and a line on those that were not asked for."""
        loading = download_once(self.source, self.loading, group)
        layout = layout_of(self.source, loading, self.val, self.test)
        train = load(self.source, layout.train, **loading)
        options, said = small_form(self.net, self.options, train) if self.small_forms else (dict(self.options), "")
        train, loading = to_size(self.net, options, train, self.source, loading, layout.train)
        unseen: dict[str, Any] = loading if self.crop == 1 else {**loading, "crop": self.crop}
        shares = layout.held_out or (not isinstance(layout.val, str) and layout.val > 0)
        whole = load(self.source, layout.train, **unseen) if shares and self.crop != 1 else train
        test: Pictures | None = None
        if layout.held_out:  # the same pictures whatever the seed, so that runs compare
            train, _ = train.split(TENTH)
            whole, test = whole.split(TENTH)
        val: Pictures | None = None
        if self.watched and self.test is not None:
            val = test if layout.test is None else load(self.source, layout.test, **unseen)
        elif isinstance(layout.val, str):
            val = load(self.source, layout.val, **unseen)
        elif layout.val:
            share = layout.val / (1 - TENTH) if layout.held_out else layout.val
            _, val = self._part(whole).split(share, seed=self.settings.seed)
            train, _ = self._part(train).split(share, seed=self.settings.seed)
            return Splits(train, val, unseen, layout, test), options, said
        return Splits(self._part(train), val, unseen, layout, test), options, said

    def _part(self, train: Pictures) -> Pictures:
        return train if self.limit is None else stratified_part(train, self.limit)

    def _build(self, options: Mapping[str, Any], train: Pictures) -> Net:
        known = {"num_classes": len(train.classes), "in_channels": shape_of(train)[0]}
        net = build(self.net, **{**known, **options})
        if self.grown_from is not None:
            shallow, _ = open_run(self.grown_from)
            grow(as_vgg(net), as_vgg(shallow))
        if self.weights is not None:
            load_weights(net, self.weights, head="reset")
        return freeze(net, self.frozen)

    def _introduction(self, net: Net, splits: Splits) -> Iterator[str]:
        """What data, splits and net it is about."""
        train, shape = splits.train, "x".join(map(str, shape_of(splits.train)))
        names = ", ".join(train.classes[:10]) + (", ..." if len(train.classes) > 10 else "")
        yield f"data   {shown(self.source)}: {len(train.classes)} classes ({names}), pictures {shape}"
        yield f"splits {len(train):,} to train on, {self._held(splits)}, {self._tested(splits)}"
        if splits.layout.said:
            yield f"note   {splits.layout.said}"
        yield f"net    {self.net}, {sum(p.numel() for p in net.parameters()):,} parameters, run folder {self.folder}"

    def _held(self, splits: Splits) -> str:
        """What is validated on, in words."""
        if splits.val is None or self.watched:
            return "nothing held out"
        return splits.layout.words_of_val(len(splits.val))

    def _tested(self, splits: Splits) -> str:
        """What is tested on and when, in words."""
        look = "looked at every epoch" if self.watched else "looked at once"
        if splits.test is not None:
            return f"{len(splits.test):,} to test on (held out), {look}"
        if splits.layout.test is None:
            return f"no split {self.test!r}" if self.test else "split 'test' not looked at"
        return f"split {splits.layout.test!r} {look}"

    def _test(self, net: Net, splits: Splits, history: History, group: Group) -> Iterator[str]:
        """Measure the trained net on the test split, every asked way, and write the report."""
        how: dict[str, Any] = {
            "device": self.settings.device,
            "precision": "fp32" if self.settings.deterministic else self.settings.precision,
        }
        layout, test = splits.layout, splits.test
        if layout.test is not None:
            test = load(self.source, layout.test, **splits.loading)
        metrics = None if test is None else evaluate(net, test, **how)  # all processes share this
        ways = () if test is None else tuple((way, evaluate(net, test, **how, **way).accuracy) for way in self.ways)
        if not group.leads:
            return
        facts: dict[str, Any] = {
            "data": shown(self.source),
            "test_split": self.test,
            "watched": self.watched,
            "limit": self.limit,
        }
        facts["asked"] = self.asked
        facts |= {name: text for name, text in self._start.items() if text is not None}
        facts |= {"validated_on": self._held(splits), "tested_on": self._tested(splits)}
        outcome = Outcome(self.folder, net, splits, history, test, metrics, ways)
        report = write_report(outcome, self.settings, how, self.recipe, facts)
        if test is None and self.test is not None:
            yield f"No labelled split {self.test!r} in {shown(self.source)}: nothing was tested."
        yield from report_lines(report, self.folder)


def as_vgg(net: Net) -> VGG:
    """A net that can start from a shallower one, or be the shallower one.

    Raises:
        ValueError: When it cannot.
    """
    if not isinstance(net, VGG):
        raise OptionError(message("recipe", "two VGGs, one to grow from the other", f"a {type(net).__name__}"))
    return net
