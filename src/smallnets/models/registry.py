"""The list of nets: who wrote it and when, what it takes, what trains it well; ``list_models`` and ``build``."""

import functools
import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar, overload

from ..errors import OptionError, message, nearest
from ..weights import Uninitialised, load_weights
from .base import Net

if TYPE_CHECKING:
    from .alexnet import AlexNet
    from .convnet import ConvNet3
    from .lenet import LeNet
    from .resnet import ResNet
    from .vgg import VGG

P = ParamSpec("P")
N = TypeVar("N", bound=Net)


@dataclass(frozen=True)
class Recipe:
    """What trains a net well, where the user does not say otherwise."""

    epochs: int = 30
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    schedule: str = "onecycle"


class Family(NamedTuple):
    """What the nets of one paper share; see ``Entry``."""

    paper: str
    year: int
    recipe: Recipe
    input_size: tuple[int, int, int]
    smallest: int


@dataclass(frozen=True)
class Entry:
    """A net of the zoo as ``smallnets list`` shows it.

    Attributes:
        parameters: Trainable parameters with the builder's defaults.
        macs: Multiply-accumulates of its convolutions and linear layers for one natural input.
        input_size: The natural input, (C, H, W).
        smallest: The smallest side of a picture that it takes, in pixels.
    """

    name: str
    builder: Callable[..., Net]
    paper: str
    year: int
    recipe: Recipe
    parameters: int
    macs: int
    input_size: tuple[int, int, int]
    smallest: int


ENTRIES: dict[str, Entry] = {}


def register(
    family: Family, parameters: int, macs: int, *, shared: Callable[..., Net] | None = None
) -> Callable[[Callable[P, N]], Callable[P, N]]:
    """Put a builder on the list.

    What every builder does alike is done here: noting in ``net.config`` what rebuilds the net, and ``weights=``, for
    which the layers are made without memory, so that nothing is initialised only to be overwritten.

    Args:
        family: What it has in common with its kin.
        parameters: See ``Entry``.
        macs: See ``Entry``.
        shared: The function whose keyword-only options, with their defaults, are meant by the builder's
            ``**options``; ``inspect.signature`` of the builder then shows them one by one.
    """

    def decorate(builder: Callable[P, N]) -> Callable[P, N]:
        name = builder.__name__
        signature = full_signature(builder, shared)
        make: Callable[..., N] = builder

        @functools.wraps(builder)
        def build_and_note(*args: P.args, **kwargs: P.kwargs) -> N:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:  # says which argument, but not whose
                raise TypeError(f"{name}() {error}") from None
            bound.apply_defaults()
            weights = bound.arguments.pop("weights")
            with nullcontext() if weights is None else Uninitialised():
                net = make(*bound.args, **bound.kwargs)
            options = {key: plain(value) for key, value in bound.arguments.items()}
            net.config = {"name": name, **options, "num_classes": net.num_classes}
            net.metadata = {}
            if weights is not None:
                load_weights(net, weights)
            return net

        vars(build_and_note)["__signature__"] = signature
        ENTRIES[name] = Entry(name, build_and_note, parameters=parameters, macs=macs, **family._asdict())
        return build_and_note

    return decorate


def full_signature(builder: Callable[..., Net], shared: Callable[..., Net] | None) -> inspect.Signature:
    """The builder's signature, its ``**options`` spelled out as ``shared`` has them."""
    signature = inspect.signature(builder)
    if shared is None:
        return signature
    own = [option for option in signature.parameters.values() if option.kind is not option.VAR_KEYWORD]
    options = [option for option in inspect.signature(shared).parameters.values() if option.kind is option.KEYWORD_ONLY]
    return signature.replace(parameters=own + options)


def plain(value: object) -> Any:
    """The value as JSON gives it back: tuples as lists, dataclasses as dicts."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return json.loads(json.dumps(value))


def entry(name: str) -> Entry:
    """The registry entry of a net.

    Raises:
        ValueError: When there is no such net; the nearest name is suggested.
    """
    if name not in ENTRIES:
        advice = nearest(name, ENTRIES) or f"The nets are: {', '.join(sorted(ENTRIES))}."
        raise OptionError(message("build", "the name of a net", repr(name), advice))
    return ENTRIES[name]


def list_models(pattern: str = "*") -> list[str]:
    """Names of the nets that match a shell pattern, in alphabetical order.

    >>> list_models("lenet*")
    ['lenet5']
    """
    return sorted(name for name in ENTRIES if fnmatchcase(name, pattern))


@overload
def build(name: Literal["lenet5"], **options: object) -> "LeNet": ...
@overload
def build(name: Literal["convnet3"], **options: object) -> "ConvNet3": ...
@overload
def build(name: Literal["alexnet"], **options: object) -> "AlexNet": ...
@overload
def build(name: Literal["vgg", "vgg11", "vgg13", "vgg16", "vgg19"], **options: object) -> "VGG": ...
@overload
def build(
    name: Literal[
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet50_layer4",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet110",
        "resnet1202",
    ],
    **options: object,
) -> "ResNet": ...
@overload
def build(name: str, **options: object) -> Net: ...
def build(name: str, **options: object) -> Net:
    """Build a net by name; ``build(**net.config)`` rebuilds any net of the zoo.

    Args:
        name: One of ``list_models()``.
        **options: The builder's own options.

    Raises:
        ValueError: When there is no such net, or an option that it does not have or allow.

    >>> build("lenet5", num_classes=3).num_classes
    3
    """
    builder = entry(name).builder
    allowed = inspect.signature(builder).parameters
    for option in options:
        if option not in allowed:
            advice = nearest(option, allowed) or f"Its options are: {', '.join(allowed)}."
            raise OptionError(message(name, "an option that it has", repr(option), advice))
    return builder(**options)
