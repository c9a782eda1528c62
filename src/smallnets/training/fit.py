"""``fit``: train a net, in one call."""

import contextlib
import os
from collections.abc import Sequence

import torch
from torch import nn

from ..errors import OptionError, message
from ..facts import leave_facts
from ..files import user_path
from .feed.samples import DataLike
from .history import History
from .loop.run import Run
from .loop.start import begin
from .options import (
    AugmentLike,
    Callback,
    ClassWeights,
    Compile,
    Decay,
    FitOptions,
    LossLike,
    Monitor,
    OptimizerLike,
    Precision,
    Resume,
    ScheduleLike,
    Switch,
    Workers,
)  # fmt: skip
from .options import class_weights as numbers_of
from .preserve import preserved


def fit(
    model: nn.Module,
    train: DataLike,
    val: DataLike | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: OptimizerLike = "adamw",
    momentum: float = 0.9,
    weight_decay: float = 0.01,
    schedule: ScheduleLike = "onecycle",
    warmup_epochs: float = 0,
    loss: LossLike = "cross-entropy",
    label_smoothing: float = 0.0,
    augment: AugmentLike = "auto",
    mix: str | None = None,
    ema: float | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    precision: Precision = "auto",
    channels_last: Switch = "auto",
    compile: Compile = "auto",
    monitor: Monitor = "val_accuracy",
    patience: int | None = None,
    restore_best: bool = False,
    run_dir: str | os.PathLike[str] | None = None,
    resume: Resume = "auto",
    save_every: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    device: str | torch.device = "auto",
    workers: Workers = "auto",
    progress: bool = True,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
    check: bool = True,
    class_weights: ClassWeights | None = None,
    decay: Decay = "all",
    options: FitOptions | None = None,
) -> History:
    """Train a net on labelled pictures, in place.

    Args:
        model: Any net that returns logits (N, classes); its device, train flags and memory format come back as they
            were, as do torch's global flags and the generators of torch, NumPy and Python. The facts of the training
            set stay with it, as ``model.data_facts``: ``evaluate`` and ``predict`` normalise by them.
        train: An ImageSet or ImageStream, a pair of tensors or arrays (images (N, C, H, W), labels (N,)), a Dataset
            of (image, label), or a DataLoader, which is taken as it comes, and draws from ``seed`` and epoch. uint8
            pictures of a set or a pair are normalised by its mean and std, those of a Dataset divided by 255; floats
            are taken as they are.
        val: Data of the same kinds to measure after each epoch, normalised as ``train`` is, and labelled by the names
            of its classes where both have some. Never the test set.
        epochs: The final total, also when a run is resumed.
        batch_size: Samples an update sees, over all processes.
        lr: The highest learning rate.
        optimizer: ``"sgd"`` (no Nesterov), ``"adam"``, ``"adamw"``, an instance with rates of its own, or a factory of
            parameters and, if it takes one, ``lr``.
        momentum: Of ``"sgd"``.
        weight_decay: Decoupled in ``"adamw"``, added to the gradient in the others; of what ``decay`` says.
        schedule: ``"constant"``, ``"cosine"``, ``"onecycle"``, ``"plateau"``, ``"step(epochs, factor)"``, or
            ``f(step, total_steps)`` that gives a factor of ``lr``.
        warmup_epochs: Epochs of linear warm-up in front.
        loss: ``"cross-entropy"``, a module, or a function of (logits, labels) that gives a mean. On validation data it
            is that of the whole set, also with the class weights of torch's CrossEntropyLoss and NLLLoss; any other
            loss of yours can only be averaged over batches, by their size.
        label_smoothing: Of ``"cross-entropy"`` in training; validation reports it without.
        augment: ``"auto"`` (by the source: small shifts for handwriting, crop and flip below 64 pixels, resized crop
            and flip above), ``"none"``, ``"crop"``, ``"crop-flip"``, ``"resized-crop-flip"`` (of at least 8 % of the
            area; ``"resized-crop-flip(0.5)"`` of half of it), ``"scale-jitter-flip"`` (the VGG paper's), or a callable
            on a batch.
        mix: ``"mixup(alpha)"`` or ``"cutmix(alpha)"``.
        ema: Decay of averaged weights, which then are validated, saved as best and returned.
        clip_norm: Largest norm of the gradient of all that the optimizer holds.
        accumulate: Batches an update sums gradients over.
        precision: ``"fp32"``, ``"bf16"`` (autocast), ``"fp16"`` (with a gradient scaler, for GPUs that emulate bf16),
            or ``"auto"``.
        channels_last: Memory layout of pictures and kernels.
        compile: Whether ``torch.compile`` runs the net; with ``"max-autotune"`` it times its kernels, for minutes.
        monitor: Column whose best epoch is kept: ``val_accuracy``, ``val_loss``, ``accuracy`` or ``loss``.
        patience: Epochs without a better ``monitor`` after which to stop.
        restore_best: Leave the best epoch's weights in the net, not the last.
        run_dir: Folder for ``last.ckpt``, ``previous.ckpt`` (the one before, should a disk fail), ``best.ckpt``,
            ``metrics.csv``, ``config.json`` and ``curves.png``.
        resume: ``"auto"`` goes on with the run in ``run_dir``; ``"changed"`` does so with other settings;
            ``"never"`` refuses a used folder.
        save_every: Optimiser steps between checkpoints within an epoch; each epoch's end always saves.
        seed: Of order, augmentation, dropout and mixing; of the weights only if you seed before building.
        deterministic: Exactly repeatable: fp32, contiguous, uncompiled, deterministic kernels.
        device: A torch device, or ``"auto"``: the GPU (``cuda``, ``xpu``, ``mps``) where there is one.
        workers: Processes that read a Dataset or ImageStream; 0 reads in this one. ``"auto"`` is one a core for a
            stream, 0 for a Dataset.
        progress: Show a bar an epoch on a terminal, a line an epoch elsewhere.
        tensorboard: Write the history for TensorBoard, too.
        callbacks: Called with each epoch's row; a true answer stops the run.
        check: Warn of classic mistakes that one forward pass of a few pictures shows, as ``diagnose`` names them.
        class_weights: Of ``"cross-entropy"``, as torch's ``weight``, in training and validation: a number a class, or
            ``"balanced"``: samples / (classes * samples of the class), as scikit-learn's.
        decay: What ``weight_decay`` holds for: ``"all"`` parameters, biases and norms included, as in torch, or
            ``"weights"``, those of more than one dimension.
        options: All of the above as one ``FitOptions``, instead of keywords.

    Returns:
        A row an epoch.

    Raises:
        ValueError: When a setting is not allowed, or net and data do not go together.
        RunError: When the loss is no longer a number, or ``run_dir`` holds another run.

    >>> from smallnets import lenet5
    >>> from smallnets.data import load
    >>> history = fit(lenet5(), load("digits"), epochs=1, progress=False)
    >>> history["accuracy"][0] > 0.1
    True
    """
    given = {name: value for name, value in locals().items() if name not in ("model", "train", "val", "options")}
    check_kinds(callbacks, options)
    given["callbacks"] = tuple(callbacks)
    given["class_weights"] = numbers_of(class_weights)
    given["device"] = str(device)
    given["run_dir"] = None if run_dir is None else str(user_path("fit", "run_dir", run_dir))
    if options is None:
        options = FitOptions(**given)
    else:
        changed = [name for name, value in given.items() if value != getattr(FitOptions(), name)]
        if changed:
            advice = "Put it into the options."
            raise OptionError(message("fit", "either options= or keywords", f"both ({', '.join(changed)})", advice))
    with preserved(model), contextlib.ExitStack() as leaving:
        start = begin(model, train, val, options, leaving=leaving)
        leaving.enter_context(contextlib.closing(start.opened))
        leave_facts(model, start.data.facts)
        return Run(model, options, start).go(leaving)


def check_kinds(callbacks: object, options: object) -> None:
    """Refuse callbacks that are no list, and options that are none."""
    if not isinstance(callbacks, Sequence):
        raise OptionError(message("fit", "a list of callbacks", repr(callbacks), "Put a single one into a list."))
    if options is not None and not isinstance(options, FitOptions):
        raise OptionError(message("fit", "options to be FitOptions", repr(options), "Make it: FitOptions(...)."))
