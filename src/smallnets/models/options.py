"""What the annotations of a builder say of its options, beside their types; and how what was given is held to it."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Literal, Protocol, TypeAlias, TypedDict, Union, get_args, get_origin, runtime_checkable

from ..errors import UnknownOptionError, check_choice, check_int, check_ints, check_number, message, nearest
from ..weights import WeightsLike


@runtime_checkable
class Constraint(Protocol):
    """What stands in ``Annotated`` beside an option's type."""

    def check(self, who: str, option: str, given: object) -> None:
        """Refuse ``given`` with an OptionError, or pass."""


@dataclass(frozen=True)
class AtLeast:
    """An integer of at least ``least``."""

    least: int

    def check(self, who: str, option: str, given: object) -> None:
        check_int(who, option, given, self.least)


@dataclass(frozen=True)
class ListOf:
    """A sequence of integers of at least 1; ``each`` is what one of them is called."""

    each: str

    def check(self, who: str, option: str, given: object) -> None:
        check_ints(who, option, self.each, given)


@dataclass(frozen=True)
class Below:
    """A number of at least 0 and below ``limit``."""

    limit: float

    def check(self, who: str, option: str, given: object) -> None:
        check_number(who, option, given, 0, below=self.limit)


@dataclass(frozen=True)
class Later:
    """Beside an option that older files do not have: ``net.config`` leaves its None out, as they do."""


NumClasses: TypeAlias = Annotated[int, AtLeast(0)]
Positive: TypeAlias = Annotated[int, AtLeast(1)]
Widths: TypeAlias = Annotated[Sequence[int], ListOf("width")]
Probability: TypeAlias = Annotated[float, Below(1)]


class CommonOptions(TypedDict, total=False):
    """What every builder takes: ``inplace=True`` and ``weights=None``, whatever its net."""

    inplace: bool
    weights: WeightsLike | None


# Other libraries' words, the option here that a net must have for the advice to hold, and the advice.
WORDS = (
    ("pretrained", "weights", "Say which weights: weights='DEFAULT' (torchvision's, for a net that it has) or a file."),
    ("features_only", "weights", "Take feature_pyramid(net), which gives the maps of the net's stages."),
    ("replace_stride_with_dilation", "dilate", "Take dilate=(False, True, True), of layer2, layer3 and layer4."),
    ("output_stride", "dilate", "Take dilate=(False, True, True) for 8, (False, False, True) for 16."),
    ("norm_layer", "norm", "Take norm='batch' or norm='group'."),
    ("norm_layer", "batch_norm", "Take batch_norm=True or batch_norm=False."),
    ("drop_rate", "dropout", "Did you mean 'dropout'?"),
)


def check_keywords(net: str, allowed: Sequence[str], given: Iterable[str]) -> None:
    """Refuse keywords that are not among the options.

    Raises:
        UnknownOptionError: Naming the keyword, and what to write instead or the nearest that there is.
    """
    for option in given:
        if option not in allowed:
            known = [advice for word, ours, advice in WORDS if word == option and ours in allowed]
            advice = known[0] if known else nearest(option, allowed) or f"Its options are: {', '.join(allowed)}."
            raise UnknownOptionError(message(net, "an option that it has", repr(option), advice))


def check_options(net: str, signature: inspect.Signature, given: Mapping[str, object], of: str = "") -> None:
    """Refuse values that the annotations in ``signature`` do not allow.

    A ``Literal`` lists its choices, a ``bool`` has two, a constraint of ``Annotated`` speaks for itself; None passes
    where it may stand. What is of several types the net itself looks at, and what else it minds.

    Args:
        net: Whose options they are.
        signature: The builder's, or that of a dataclass among the options.
        given: The options by name.
        of: What stands before their names in the error, such as ``"head."``.

    Raises:
        OptionError: Naming the option, the value and what is allowed.
    """
    for name, value in given.items():
        annotation = signature.parameters[name].annotation
        if value is None and NoneType in get_args(annotation):
            continue
        kind = kind_of(annotation)
        if kind is bool or get_origin(kind) is Literal:
            check_choice(net, of + name, value, get_args(kind) or (True, False))
        for constraint in getattr(kind, "__metadata__", ()):
            if isinstance(constraint, Constraint):
                constraint.check(net, of + name, value)


def kind_of(annotation: object) -> object:
    """What an annotation allows besides None; ``object`` where that is of several types."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else object


def came_later(option: inspect.Parameter) -> bool:
    """Whether an option is marked ``Later``."""
    return Later() in getattr(kind_of(option.annotation), "__metadata__", ())
