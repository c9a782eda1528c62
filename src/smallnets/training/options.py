"""Every setting of ``fit`` in one frozen, JSON-able place, checked when it is made."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from ..data import augment as augmentation
from ..errors import OptionError, check_choice, check_int, check_number, message, nearest
from ..files import user_path
from .records import Row
from .schedules import parse_schedule

OptimizerName = Literal["sgd", "adam", "adamw"]
AugmentName = Literal[
    "auto", "none", "crop", "crop-flip", "resized-crop-flip", "resized-crop-flip(0.5)", "scale-jitter-flip"
]
OptimizerLike = OptimizerName | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]
ScheduleLike = (
    Literal["constant", "cosine", "onecycle", "plateau"] | str | Callable[[int, int], float]
)  # "step(20, 0.1)"
Loss = Callable[[Tensor, Tensor], Tensor]  # of logits and labels, a mean
LossLike = Literal["cross-entropy"] | nn.Module | Loss
AugmentLike = AugmentName | Callable[[Tensor], Tensor]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Monitor = Literal["val_accuracy", "val_loss", "accuracy", "loss"]
Resume = Literal["auto", "never", "changed"]
Switch = Literal["auto"] | bool
Compile = Literal["auto", "max-autotune"] | bool
Workers = Literal["auto"] | int
Callback = Callable[[Row], object]
ClassWeights = Literal["balanced"] | Tensor | Sequence[float]
Decay = Literal["all", "weights"]

# Settings that change nothing of what is computed, so a run may go on with others.
FREE = ("run_dir", "resume", "save_every", "device", "workers", "progress", "tensorboard", "callbacks", "check")


@dataclass(frozen=True)
class FitOptions:
    """The settings of a run; the keywords of ``fit`` by the same names, explained there.

    Raises:
        ValueError: When a setting is not allowed: which, what was given, what is.

    >>> FitOptions(epochs=3).to_json()["epochs"]
    3
    """

    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    optimizer: OptimizerLike = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: ScheduleLike = "onecycle"
    warmup_epochs: float = 0
    loss: LossLike = "cross-entropy"
    label_smoothing: float = 0.0
    augment: AugmentLike = "auto"
    mix: str | None = None
    ema: float | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    precision: Precision = "auto"
    channels_last: Switch = "auto"
    compile: Compile = "auto"
    monitor: Monitor = "val_accuracy"
    patience: int | None = None
    restore_best: bool = False
    run_dir: str | None = None
    resume: Resume = "auto"
    save_every: int | None = None
    seed: int = 0
    deterministic: bool = False
    device: str = "auto"
    workers: Workers = "auto"
    progress: bool = True
    tensorboard: bool = False
    callbacks: tuple[Callback, ...] = ()
    check: bool = True
    class_weights: ClassWeights | None = None  # kept as numbers
    decay: Decay = "all"

    def __post_init__(self) -> None:
        who = "fit"
        if self.run_dir is not None:
            object.__setattr__(self, "run_dir", str(user_path(who, "run_dir", self.run_dir)))
        for name, least in (("epochs", 1), ("batch_size", 1), ("accumulate", 1), ("seed", 0)):
            check_int(who, name, getattr(self, name), least)
        if self.seed >= 2**64:
            raise OptionError(message(who, "seed to be an integer below 2**64", self.seed))
        for name in ("patience", "save_every"):
            if getattr(self, name) is not None:
                check_int(who, name, getattr(self, name))
        check_number(who, "lr", self.lr, 0)
        check_number(who, "weight_decay", self.weight_decay, 0)
        check_number(who, "warmup_epochs", self.warmup_epochs, 0, below=self.epochs)
        for name in ("momentum", "label_smoothing"):
            check_number(who, name, getattr(self, name), 0, below=1)
        if self.ema is not None:
            check_number(who, "ema", self.ema, 0, below=1)
        if self.clip_norm is not None:
            check_number(who, "clip_norm", self.clip_norm, 0)
        if not isinstance(self.workers, str) or self.workers != "auto":
            check_int(who, "workers", self.workers, 0)
        object.__setattr__(self, "class_weights", class_weights(self.class_weights))
        choices: dict[str, tuple[object, ...]] = {
            "precision": get_args(Precision), "resume": get_args(Resume), "monitor": get_args(Monitor),
            "decay": get_args(Decay),
            "channels_last": ("auto", True, False), "compile": ("auto", True, False, "max-autotune"),
            **dict.fromkeys(("restore_best", "deterministic", "progress", "tensorboard", "check"), (True, False)),
        }  # fmt: skip
        for name, allowed in choices.items():
            check_choice(who, name, getattr(self, name), allowed)
        for name in ("optimizer", "schedule", "loss", "augment"):
            check_callable(name, getattr(self, name))
        if not isinstance(self.callbacks, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            advice = "Put a single one into a list."
            raise OptionError(message(who, "a list of callbacks", repr(self.callbacks), advice))
        for callback in self.callbacks:
            if not callable(callback):
                raise OptionError(message(who, "callbacks that can be called", repr(callback)))
        if isinstance(self.optimizer, str):
            check_choice(who, "optimizer", self.optimizer, get_args(OptimizerName))
        if isinstance(self.schedule, str):
            parse_schedule(self.schedule)
        if isinstance(self.loss, str):
            check_choice(who, "loss", self.loss, ("cross-entropy",))
        if isinstance(self.augment, str):
            augmentation.check_name(self.augment)
        if self.mix is not None:
            parse_mix(self.mix)

    def to_json(self) -> dict[str, object]:
        """The settings as JSON has them: callables by qualified name."""
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.loads(json.dumps(settings, default=qualified_name))

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Self:
        """The settings back from ``to_json``; a name of something callable is refused as one.

        Raises:
            ValueError: When a setting is unknown or not allowed.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in content:
            if name not in known:
                raise OptionError(message("FitOptions", "a setting of fit", repr(name), nearest(name, known)))
        settings: dict[str, Any] = dict(content)
        settings["callbacks"] = tuple(settings.get("callbacks", ()))
        return cls(**settings)

    def changed(self, stored: Mapping[str, object]) -> list[str]:
        """The settings that matter and are others than in stored ones."""
        mine = self.to_json()
        return [name for name in mine if name not in FREE and name in stored and stored[name] != mine[name]]

    def changes(self, stored: Mapping[str, object]) -> list[str]:
        """``changed`` in words: ``lr 0.1 -> 0.2``."""
        mine = self.to_json()
        return [f"{name} {stored[name]!r} -> {mine[name]!r}" for name in self.changed(stored)]


def check_callable(name: str, given: object) -> None:
    """Refuse a setting that is neither a name nor something callable, an optimiser included."""
    if not isinstance(given, str | torch.optim.Optimizer) and not callable(given):
        raise OptionError(message("fit", f"{name} to be a name or a callable", repr(given)))


def class_weights(given: object) -> Literal["balanced"] | tuple[float, ...] | None:
    """Weights of classes as numbers.

    Raises:
        OptionError: When they are none.

    >>> class_weights(torch.tensor([1.0, 20.0]))
    (1.0, 20.0)
    """
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given if given is None else "balanced"
    try:
        found = torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        found = torch.zeros(0)
    if found.dim() != 1 or not len(found) or not found.isfinite().all() or (found < 0).any() or not found.sum():
        wanted = "class_weights to be 'balanced', or a number a class, none negative"
        raise OptionError(message("fit", wanted, repr(given)[:100]))
    return tuple(found.tolist())


def qualified_name(thing: object) -> str:
    """``module.name`` of something callable, for a record."""
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return f"{thing.__module__}.{name}"


def parse_mix(text: str) -> tuple[str, float]:
    """``"mixup(0.2)"`` or ``"cutmix(1.0)"`` as name and alpha.

    Raises:
        ValueError: For any other text.

    >>> parse_mix("mixup(0.2)")
    ('mixup', 0.2)
    """
    name, _, rest = str(text).partition("(")
    try:
        alpha = float(rest.removesuffix(")"))
    except ValueError:
        alpha = 0.0
    if name not in ("mixup", "cutmix") or not rest.endswith(")") or not 0 < alpha < float("inf"):
        raise OptionError(message("fit", "mix to be 'mixup(alpha)' or 'cutmix(alpha)', alpha above 0", repr(text)))
    return name, alpha
