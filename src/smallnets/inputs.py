"""What is said of an input that a net cannot take: PyTorch computes, and what it refuses is put into one sentence.

A sentence is given only where it is true of the net as it stands now, layers replaced by hand included; else PyTorch's
own error goes through. What PyTorch computes wrongly without a word is refused afterwards: a picture without its batch
dimension, or of a side that happens to fit a linear layer. None of this shows in a traced, exported, compiled or
scripted graph.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor, fx, nn
from torch.jit import is_scripting as is_scripting  # type: ignore[attr-defined]
from torch.jit import is_tracing as is_tracing  # type: ignore[attr-defined]

from .errors import OptionError, ShapeError, SmallnetsError, message
from .shapes.input_rule import InputRule, MapRule, lone_input, wrong_map_shape, wrong_shape

F = TypeVar("F", bound=Callable[..., object])


class TakesPictures(Protocol):
    """A module of pictures; ``input_rule`` reads off its layers as they stand what it takes, None where it cannot."""

    def is_natural(self, x: Tensor) -> bool:
        """Whether a picture is as ever, in a glance: of those that are not, the rule is asked."""
        ...

    def input_rule(self) -> InputRule | None: ...


class TakesMaps(Protocol):
    """A module whose head takes feature maps, in the same way."""

    def is_natural_map(self, x: Tensor) -> bool: ...

    def head_rule(self) -> MapRule | None: ...


# A class scripts by the names that are known here, where its methods are wrapped: is_scripting and torch are.
def explained(forward: F) -> F:
    """A method of pictures (N, C, H, W) that explains what PyTorch refuses of them.

    Raises:
        ShapeError: Which net, which input, which layer gave out, what to do.
        OptionError: For what is no tensor, or one of another kind or place than the weights.
    """

    @functools.wraps(forward)
    def run(self: TakesPictures, x: Tensor, *args: object, **kwargs: object) -> object:
        try:
            return forward(self, x, *args, **kwargs)
        except Exception as error:
            explain(error, functools.partial(why_not_picture, self, x))
            raise

    return cast(F, run)


def takes_pictures(forward: F) -> F:
    """``explained``, and what PyTorch has computed wrongly is refused."""
    explaining = explained(forward)

    @functools.wraps(forward)
    def run(self: TakesPictures, x: Tensor, *args: object, **kwargs: object) -> object:
        out = explaining(self, x, *args, **kwargs)
        if computes(x) and not self.is_natural(x) and (wrong := wrong_picture(self, x)):
            raise wrong
        return out

    return cast(F, run)


def takes_maps(forward: F) -> F:
    """A method of a net's last feature map (N, C, H, W) that explains and refuses likewise."""

    @functools.wraps(forward)
    def run(self: TakesMaps, x: Tensor, *args: object, **kwargs: object) -> object:
        try:
            out = forward(self, x, *args, **kwargs)
        except Exception as error:
            explain(error, functools.partial(why_not_map, self, x))
            raise
        if computes(x) and not self.is_natural_map(x) and (wrong := wrong_map(self, x)):
            raise wrong
        return out

    return cast(F, run)


def computes(x: object) -> bool:
    """Whether this is a tensor in a plain run: a look at it leaves nothing in somebody's graph."""
    return isinstance(x, Tensor) and not torch.compiler.is_compiling() and not is_tracing()


def explain(error: Exception, why: Callable[[Exception], SmallnetsError | None]) -> None:
    """Raise what ``why`` makes of PyTorch's error; an explanation further in is of a part, this one of the whole."""
    cause = error.__cause__ if isinstance(error, SmallnetsError) else error
    if isinstance(cause, Exception) and (said := why(cause)):
        raise said from cause


class Place(NamedTuple):
    """Where PyTorch gave up: the layer, its path in the net, and what reached it."""

    path: str
    layer: nn.Module
    x: Tensor

    def __str__(self) -> str:
        return f"{self.path} ({type(self.layer).__name__})"


def place_of(error: Exception, net: nn.Module) -> Place | None:
    """The innermost of the net's layers that was being called, as the traceback knows; None where it knows none."""
    paths = {id(layer): path for path, layer in net.named_modules() if path}
    found, frames = None, error.__traceback__
    while frames is not None:
        local = frames.tb_frame.f_locals  # of nn.Module.__call__: self, args
        layer, args = local.get("self"), local.get("args")
        if id(layer) in paths and isinstance(args, tuple) and args and isinstance(args[0], Tensor):
            found = Place(paths[id(layer)], cast(nn.Module, layer), args[0])
        frames = frames.tb_next
    return found


def wrong_picture(net: TakesPictures, x: Tensor) -> SmallnetsError | None:
    """What is wrong with a picture by the net's layers as they stand; None where nothing is, or they cannot be read."""
    rule = net.input_rule()
    if rule is None:
        return None
    if wrong := wrong_shape(tuple(x.shape), rule):
        return wrong
    if not x.is_floating_point():
        advice = "Convert the pictures: x.float() / 255."
        return OptionError(message(rule.net, "floating-point pictures", x.dtype, advice))
    return wrong_kind(rule.net, "pictures", x, first_weights(net))


def why_not_picture(net: TakesPictures, x: object, error: Exception) -> SmallnetsError | None:
    """What to say of a picture, or of whatever else was given, at which a layer failed."""
    assert isinstance(net, nn.Module)
    if not isinstance(x, Tensor):
        return no_tensor(name_of(net), "pictures", x)
    place = place_of(error, net)
    # Behind the first weights, channels and kind were right, or something made them so; the meta device minds neither.
    own = [] if place is None else [id(weights) for weights in place.layer.parameters(recurse=False)]
    inside = bool(own) and id(first_weights(net)) not in own and not x.is_meta
    rule = net.input_rule()
    if rule is not None and (not inside or x.dim() != 4 or x.shape[1] == rule.channels):
        wrong = wrong_shape(tuple(x.shape), rule) if inside else wrong_picture(net, x)
        if wrong is not None:
            return wrong
    return None if place is None else wrong_layer(name_of(net), place, x, error)


def wrong_map(net: TakesMaps, x: Tensor) -> SmallnetsError | None:
    """What is wrong with a feature map by the head's layers as they stand."""
    rule = net.head_rule()
    if rule is None:
        return None
    if wrong := wrong_map_shape(tuple(x.shape), rule):
        return wrong
    if x.dtype == torch.float64 or not x.is_floating_point():  # other kinds a net may mix, head and features
        return wrong_kind(rule.net, "a feature map", x, first_weights(net))
    return None


def why_not_map(net: TakesMaps, x: object, error: Exception) -> SmallnetsError | None:
    """What to say of a feature map, or of whatever else was given, at which a layer failed."""
    assert isinstance(net, nn.Module)
    if not isinstance(x, Tensor):
        return no_tensor(name_of(net), "a feature map", x)
    place = place_of(error, net)
    return wrong_map(net, x) or (None if place is None else wrong_layer(name_of(net), place, x, error))


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)


def wrong_layer(who: str, place: Place, x: Tensor, error: Exception) -> ShapeError | None:
    """What a layer says to a batch of one, or to maps or vectors of another width than it was made for."""
    layer, shape, advice = place.layer, tuple(place.x.shape), "Make the layer anew for what reaches it."
    if isinstance(layer, NORMS) and len(x) == 1 and place.x.numel() == averages(layer):  # of one value each
        training = not isinstance(layer, nn.GroupNorm)
        return lone_input(who, tuple(x.shape), larger=len(shape) > 2, training=training)
    if isinstance(layer, nn.Conv2d) and len(shape) == 4 and shape[1] != layer.in_channels:
        return ShapeError(message(who, f"{layer.in_channels} channels at {place}", f"{shape[1]} in {shape}", advice))
    if isinstance(layer, nn.Linear) and shape and shape[-1] != layer.in_features:
        return ShapeError(message(who, f"{layer.in_features} features at {place}", f"{shape[-1]} in {shape}", advice))
    return None


def averages(norm: nn.Module) -> int:
    """How many means and variances a normalisation takes of one picture."""
    return norm.num_groups if isinstance(norm, nn.GroupNorm) else cast(int, norm.num_features)


def no_tensor(who: str, what: str, x: object) -> OptionError | None:
    """For what is not a tensor; None for a tracer's stand-in, whose trouble is the tracer's."""
    if isinstance(x, fx.Proxy):
        return None
    advice = "" if x is None else "Convert it: torch.as_tensor(x)."
    return OptionError(message(who, f"{what} as a tensor", f"a {type(x).__name__}", advice))


def wrong_kind(who: str, what: str, x: Tensor, like: Tensor | None) -> OptionError | None:
    """For numbers of another dtype, or in another place, than the weights they are to meet.

    Weights that a wrapper shards, replicates or keeps elsewhere until their turn are the wrapper's to match.
    """
    if like is None or (x.dtype == like.dtype and x.device == like.device):
        return None
    if type(like) is not nn.Parameter or like.is_meta:
        return None
    if x.device != like.device:
        expected = f"{what} on {like.device}, where its weights are"
        return OptionError(message(who, expected, x.device, f"Move net or input: x.to({str(like.device)!r})."))
    # Autocast brings the usual kinds together, but leaves double precision alone.
    if torch.float64 in (x.dtype, like.dtype) or not torch.is_autocast_enabled(x.device.type):
        expected, advice = f"{what} of {like.dtype}, as its weights are", f"Convert: x.to({like.dtype})."
        return OptionError(message(who, expected, x.dtype, advice))
    return None


def first_weights(net: object) -> Tensor | None:
    """The net's first, for their dtype and device."""
    assert isinstance(net, nn.Module)
    return next(net.parameters(), None)


def name_of(net: nn.Module) -> str:
    """The builder's name of a net of the zoo, else the class."""
    return str(getattr(net, "config", {}).get("name", type(net).__name__))
