"""The list of nets: who wrote it and when, what it takes, what trains it well; ``list_models`` and ``build``."""

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from ..errors import OptionError, check_keywords, check_options, check_text, message, nearest, sizes_that_fit
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
T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """What trains a net well, where the user does not say otherwise."""

    epochs: int = 30
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    schedule: str = "onecycle"
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Family:
    """What the nets of one paper share.

    Attributes:
        input_size: The natural input, (C, H, W).
        smallest: The smallest side of a picture that it takes, in pixels.
    """

    paper: str
    year: int
    recipe: Recipe
    input_size: tuple[int, int, int]
    smallest: int


@dataclass(frozen=True)
class Entry(Family):
    """A net of the zoo as ``smallnets list`` shows it.

    Attributes:
        parameters: Trainable parameters with the builder's defaults.
        macs: Multiply-accumulates of its convolutions and linear layers for one natural input.
    """

    name: str
    builder: Callable[..., Net]
    parameters: int
    macs: int


ENTRIES: dict[str, Entry] = {}
ImageNetResNet = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
CifarResNet = Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"]


def register(family: Family, parameters: int, macs: int) -> Callable[[Callable[P, N]], Callable[P, N]]:
    """Put a builder on the list; see ``Entry`` for the arguments.

    What every builder does alike is done here: checking what the annotations of its options say, noting in
    ``net.config`` what rebuilds the net, and ``weights=``, for which the layers are made without memory, so that
    nothing is initialised only to be overwritten.
    """

    def decorate(builder: Callable[P, N]) -> Callable[P, N]:
        name = builder.__name__
        signature = inspect.signature(builder)
        make: Callable[..., N] = builder

        @functools.wraps(builder)
        def build_and_note(*args: P.args, **kwargs: P.kwargs) -> N:
            check_keywords(name, signature, kwargs)
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:  # says which argument, but not whose
                raise TypeError(f"{name}() {error}") from None
            bound.apply_defaults()
            weights = bound.arguments.pop("weights")
            check_options(name, signature, bound.arguments)
            with sizes_that_fit(name), nullcontext() if weights is None else Uninitialised():
                net = make(*bound.args, **bound.kwargs)
            options = json.loads(json.dumps(bound.arguments, default=plain))  # tuples as lists
            net.config = {"name": name, **options, "num_classes": net.num_classes}
            net.metadata = {}
            if weights is not None:
                load_weights(net, weights)
            return net

        ENTRIES[name] = Entry(**vars(family), name=name, builder=build_and_note, parameters=parameters, macs=macs)
        return build_and_note

    return decorate


def plain(option: Any) -> object:
    """What JSON has for a value that it does not know: a list for a sequence, a dict for a dataclass."""
    return list(option) if isinstance(option, Sequence) else vars(option)


def depth_of(
    shared: Callable[Concatenate[str, T, P], N], plan: T, family: Family, parameters: int, macs: int, **defaults: object
) -> Callable[[Callable[[], None]], Callable[P, N]]:
    """Register one depth of a family: what is decorated is its name and docstring, ``shared`` builds all depths.

    So the options, their types, defaults and meanings are said once, in the signature and the docstring of ``shared``.
    Every depth has that signature without its first two parameters, and, before its own source, that docstring.

    Args:
        shared: Builds the net of a name and a plan.
        plan: What makes this depth: its row of the paper's table.
        family: See ``register``.
        parameters: See ``Entry``.
        macs: See ``Entry``.
        **defaults: Options whose default is this depth's own.
    """
    signature = inspect.signature(shared)
    _, _, *options = signature.parameters.values()
    own = [option.replace(default=defaults.get(option.name, option.default)) for option in options]

    def decorate(described: Callable[[], None]) -> Callable[P, N]:
        @functools.wraps(described)
        def builder(*args: P.args, **kwargs: P.kwargs) -> N:
            return shared(described.__name__, plan, *args, **kwargs)

        about, source, rest = inspect.cleandoc(described.__doc__ or "").partition("Source:")
        _, _, options_and_errors = inspect.cleandoc(shared.__doc__ or "").partition("\n\n")
        builder.__doc__ = f"{about}{options_and_errors}\n\n{source}{rest}"
        vars(builder)["__signature__"] = signature.replace(parameters=own)
        return register(family, parameters, macs)(builder)

    return decorate


def or_default(num_classes: int | None, imagenet: bool) -> int:
    """What None means for ``num_classes``: 1000 with an ImageNet stem or head, 10 with any other."""
    return (1000 if imagenet else 10) if num_classes is None else num_classes


def entry(name: str) -> Entry:
    """The registry entry of a net.

    Raises:
        ValueError: When there is no such net; the nearest name is suggested.
    """
    if not isinstance(name, str) or name not in ENTRIES:  # pyright: ignore[reportUnnecessaryIsInstance]
        advice = nearest(name, ENTRIES) or f"The nets are: {', '.join(sorted(ENTRIES))}."
        raise OptionError(message("build", "the name of a net", repr(name), advice))
    return ENTRIES[name]


def list_models(pattern: str = "*") -> list[str]:
    """Names of the nets that match a shell pattern, in alphabetical order.

    Raises:
        ValueError: When the pattern is no text.

    >>> list_models("lenet*")
    ['lenet5']
    """
    check_text("list_models", "pattern", pattern)
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
def build(name: ImageNetResNet | CifarResNet | Literal["resnet50_layer4"], **options: object) -> "ResNet": ...
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
    return entry(name).builder(**options)
