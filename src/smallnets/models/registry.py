"""The list of nets: who wrote it and when, what it takes, what trains it well; ``list_models`` and ``build``."""

import functools
import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from ..errors import OptionError, message, nearest
from ..weights import Uninitialised, load_weights
from .base import Net

if TYPE_CHECKING:
    from .convnet import ConvNet3
    from .lenet import LeNet

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


@dataclass(frozen=True)
class Entry:
    """A net of the zoo as ``smallnets list`` shows it."""

    name: str
    builder: Callable[..., Net]
    paper: str
    year: int
    recipe: Recipe


ENTRIES: dict[str, Entry] = {}


def register(*, paper: str, year: int, recipe: Recipe) -> Callable[[Callable[P, N]], Callable[P, N]]:
    """Put a builder on the list.

    What every builder does alike is done here: noting in ``net.config`` what rebuilds the net, and ``weights=``, for
    which the layers are made without memory, so that nothing is initialised only to be overwritten.
    """

    def decorate(builder: Callable[P, N]) -> Callable[P, N]:
        name = builder.__name__
        signature = inspect.signature(builder)

        @functools.wraps(builder)
        def build_and_note(*args: P.args, **kwargs: P.kwargs) -> N:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            weights = bound.arguments.pop("weights")
            with nullcontext() if weights is None else Uninitialised():
                net = builder(*args, **kwargs)
            options = {key: plain(value) for key, value in bound.arguments.items()}
            net.config = {"name": name, **options, "num_classes": net.num_classes}
            net.metadata = {}
            if weights is not None:
                load_weights(net, weights)
            return net

        ENTRIES[name] = Entry(name, build_and_note, paper, year, recipe)
        return build_and_note

    return decorate


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
def build(name: Literal["lenet5"], **options: Any) -> "LeNet": ...
@overload
def build(name: Literal["convnet3"], **options: Any) -> "ConvNet3": ...
@overload
def build(name: str, **options: Any) -> Net: ...
def build(name: str, **options: Any) -> Net:
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
