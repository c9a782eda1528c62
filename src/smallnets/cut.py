"""A net cut off behind its last tapped layer: by ``torch.fx``, or where that cannot follow it, by watching it run."""

import copy
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from .errors import ShapeError, message
from .summary.abstract import NoData, NoDevice, undisturbed
from .summary.inputs import call_of_sizes, make_inputs
from .summary.replica import Replica
from .taps import LayerTracer, trace

IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow)


def graph_of(model: nn.Module) -> LayerTracer | None:
    """The model's graph; None where its course depends on what torch.fx has no value for."""
    try:
        return trace(model)
    except Exception:  # whatever a forward makes of a stand-in for its input
        return None


def outputs_of(model: nn.Module, size: Sequence[int]) -> Collection[str]:
    """The paths of the modules that make a tensor, in the order of their first calls."""
    tracer = graph_of(model)
    return tracer.outputs if tracer is not None else Course.of(model, size).calls


def cut(model: nn.Module, paths: dict[str, str], size: Callable[[], Sequence[int]]) -> tuple[nn.Module, "Watch | None"]:
    """The model up to the last of the layers at ``paths``; a watch where it does not return their values itself."""
    tracer = graph_of(model)
    if tracer is not None:
        return graph_up_to(model, tracer, paths), None
    course = Course.of(model, size())
    return without(model, course.behind(paths.values())), Watch(
        paths, {path: course.calls[path] for path in paths.values()}
    )


def graph_up_to(model: nn.Module, tracer: LayerTracer, paths: dict[str, str]) -> fx.GraphModule:
    """The model's graph, ending in a dict of the layers' values."""
    graph = tracer.graph
    for node in list(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)
    values: dict[str, fx.Node] = {}
    for name, path in paths.items():
        value = tracer.outputs[path][-1]
        if any(overwrites(model, user, value) for user in value.users):
            with graph.inserting_after(value):
                value = graph.call_method("clone", (value,))
        values[name] = value
    graph.output(values)
    body = fx.GraphModule(model, graph, "FeaturePyramidBody")
    body.graph.eliminate_dead_code()
    body.delete_all_unused_submodules()
    body.recompile()
    return body


def overwrites(model: nn.Module, user: fx.Node, value: fx.Node) -> bool:
    """Whether a layer, an operator or a function writes its result over the value."""
    if not user.args or user.args[0] is not value:
        return False
    if user.op == "call_module":
        return bool(getattr(model.get_submodule(str(user.target)), "inplace", False))
    name = str(getattr(user.target, "__name__", user.target))
    in_place = (name.endswith("_") and not name.endswith("__")) or user.target in IN_PLACE
    return in_place or bool(user.kwargs.get("inplace", False))


@dataclass
class Course:
    """What happens in a forward, in order.

    Attributes:
        calls: How many tensors each module makes, by its path.
        entered: The modules' paths as their forwards begin, and where in the course.
        left: The same as they end.
    """

    calls: dict[str, int] = field(default_factory=dict[str, int])
    entered: dict[str, int] = field(default_factory=dict[str, int])  # for the first time
    left: dict[str, int] = field(default_factory=dict[str, int])  # for the last time
    clock: int = 0

    @classmethod
    def of(cls, model: nn.Module, size: Sequence[int]) -> "Course":
        """Run a copy without data on a picture of a (C, H, W)."""
        course, replica = cls(), Replica(model)
        for path, module in replica.module.named_modules():
            module.register_forward_pre_hook(partial(course.enter, path))
            module.register_forward_hook(partial(course.leave, path))
        args, kwargs = make_inputs(call_of_sizes(tuple(size)), 1, replica.dtype)
        with undisturbed(), torch.no_grad(), NoData(replica.constants), NoDevice():
            replica.module(*args, **kwargs)
        return course

    def enter(self, path: str, module: nn.Module, args: Any) -> None:
        self.clock += 1
        self.entered.setdefault(path, self.clock)

    def leave(self, path: str, module: nn.Module, args: Any, out: Any) -> None:
        if isinstance(out, Tensor):
            self.clock += 1
            self.calls[path] = self.calls.get(path, 0) + 1
            self.left[path] = self.clock

    def behind(self, paths: Collection[str]) -> set[str]:
        """The modules that run only after the last of these has made its value."""
        end = max(self.left[path] for path in paths)
        return {path for path, start in self.entered.items() if start > end}


def without(model: nn.Module, behind: Collection[str], path: str = "") -> nn.Module:
    """The model with others in the place of its containers, so that layers can be missing; the layers are its own."""
    if not any(True for _ in model.children()):
        return model
    twin = copy.copy(model)
    children: dict[str, nn.Module | None] = {}
    for name, child in model.__dict__["_modules"].items():
        inner = f"{path}.{name}" if path else name
        # An empty layer in its place: lists keep their length.
        children[name] = nn.Identity() if inner in behind else child and without(child, behind, inner)
    twin.__dict__["_modules"] = children
    return twin


class Enough(Exception):
    """The last value is there."""


class Watch(NamedTuple):
    """Runs a net and takes the values of its layers.

    Attributes:
        paths: The layers by the names of the values.
        calls: How many values each of them makes, by its path; the last one counts.
    """

    paths: dict[str, str]
    calls: dict[str, int]

    def __call__(self, body: nn.Module, x: Tensor) -> dict[str, Tensor]:
        left, values = dict(self.calls), dict[str, Tensor]()

        def take(path: str, module: nn.Module, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                left[path] -= 1
                if left[path] == 0:
                    values[path] = out.clone()  # nobody knows whether what comes behind it writes over it
            if len(values) == len(left):
                raise Enough

        # For one run only: the layers are the net's own.
        hooks = [body.get_submodule(path).register_forward_hook(partial(take, path)) for path in left]
        try:
            body(x)
            missing = next(path for path in left if path not in values)
            expected = f"{self.calls[missing]} values of {missing}, as when the net was cut"
            raise ShapeError(message("feature_pyramid", expected, self.calls[missing] - left[missing]))
        except Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return {name: values[path] for name, path in self.paths.items()}
