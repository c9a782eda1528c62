"""How a net comes on the list, and what every builder does alike. No net is known here; ``build`` knows them all."""

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args, get_type_hints

from ..errors import sizes_that_fit
from ..facts import DataFacts, leave_facts
from ..weights import Uninitialised, load_checkpoint, load_weights, read_net
from .base import Net
from .options import came_later, check_keywords, check_options
from .trained import TrainedNet, shipped

P = ParamSpec("P")
N = TypeVar("N", bound=Net)
Builder = TypeVar("Builder", bound=Callable[..., Net])


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
    restore_best: bool = True  # the best epoch on validation data, not the last


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


ENTRIES: dict[str, Entry] = {}  # of the families that are imported; ``build.entry`` looks among all


def makes(make: Callable[Concatenate[str, P], N]) -> Callable[Concatenate[str, P], N]:
    """Around what makes a family's nets: all that is done alike for each of them.

    The options are held to what their annotations say, ``net.config`` notes what rebuilds the net, and with
    ``weights=`` the layers are made without memory, so that nothing is initialised only to be overwritten. With a
    trained net of the package, an option that was left at its default is what that net has.

    Args:
        make: Takes the builder's name and what else makes its net by position only; what follows are options.
    """
    signature = inspect.signature(make)
    options = [option.name for option in signature.parameters.values() if option.kind is not option.POSITIONAL_ONLY]
    later = [option for option in options if came_later(signature.parameters[option])]

    @functools.wraps(make)
    def checked(name: str, /, *args: P.args, **kwargs: P.kwargs) -> N:
        check_keywords(name, options, kwargs)
        bound = signature.bind(name, *args, **kwargs)
        bound.apply_defaults()
        weights = bound.arguments["weights"]
        found = shipped(name, weights)
        if found is not None:
            bound.arguments.update(left_to(found, bound.arguments))
        given = {option: bound.arguments[option] for option in options if option != "weights"}
        check_options(name, signature, given)
        with sizes_that_fit(name), nullcontext() if weights is None else Uninitialised():
            net = make(*bound.args, **bound.kwargs)  # pyright: ignore[reportCallIssue]
        noted = {option: value for option, value in given.items() if value is not None or option not in later}
        noted = json.loads(json.dumps(noted, default=plain))  # tuples as lists
        net.config = {"name": name, **noted, "num_classes": net.num_classes}
        net.metadata = {}
        if found is not None:
            give_trained(net, found)
        elif weights is not None:
            load_weights(net, weights)
        return net

    return checked


def left_to(found: TrainedNet, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a trained net that its builder was not given."""
    builder = inspect.signature(ENTRIES[found.net].builder).parameters
    return {
        option: value
        for option, value in found.config.items()
        if option in given and option in builder and given[option] == builder[option].default
    }


def give_trained(net: Net, found: TrainedNet) -> None:
    """Load a trained net of the package, with what it knows of its data."""
    checkpoint, _, _ = read_net(found.path)
    load_checkpoint(net, checkpoint)
    net.metadata = checkpoint.metadata
    leave_facts(net, DataFacts.from_dict(checkpoint.metadata["data_facts"]))


def plain(option: Any) -> object:
    """What JSON has for a value that it does not know: a list for a sequence, a dict for a dataclass."""
    return list(option) if isinstance(option, Sequence) else vars(option)


def register(family: Family, parameters: int, macs: int, make: Callable[..., Net]) -> Callable[[Builder], Builder]:
    """Put a builder on the list, and let ``help`` and ``inspect.signature`` show every option that it passes on.

    The builder stays the function that it is. Its ``**options`` are spelled out after ``make``, which has their
    defaults, and explained by the docstring of their TypedDict, which is written once for all depths of a family.

    Args:
        family: See ``Family``.
        parameters: See ``Entry``.
        macs: See ``Entry``.
        make: What the builder passes its options on to.
    """

    def decorate(builder: Builder) -> Builder:
        name, signature = builder.__name__, inspect.signature(builder)
        *own, options = signature.parameters.values()
        passed = [o for o in inspect.signature(make).parameters.values() if o.kind is o.KEYWORD_ONLY]
        types = get_type_hints(make)  # without constraints, which are the library's own notes
        passed = [o.replace(annotation=types[o.name]) for o in passed if o.name not in signature.parameters]
        vars(builder)["__signature__"] = signature.replace(parameters=[*own, *passed])
        about, source, rest = inspect.cleandoc(builder.__doc__ or "").partition("Source:")
        typed = next(iter(get_args(options.annotation)), None)
        _, _, explained = inspect.cleandoc(typed.__doc__ or "").partition("\n\n")
        if explained:
            builder.__doc__ = f"{about}{explained}\n\n{source}{rest}"
        ENTRIES[name] = Entry(**vars(family), name=name, builder=builder, parameters=parameters, macs=macs)
        return builder

    return decorate


def or_default(num_classes: int | None, imagenet: bool) -> int:
    """What None means for ``num_classes``: 1000 with an ImageNet stem or head, 10 with any other."""
    return (1000 if imagenet else 10) if num_classes is None else num_classes
