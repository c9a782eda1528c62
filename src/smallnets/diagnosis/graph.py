"""What a net computed, as a graph: one step for each operation of a forward pass, and questions about it.

N batch, C channels, H W pixels.
"""

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

INPUT = -1  # the step that the picture comes from

# Operations that only lay data out anew: every number of the output is one of the input.
_LAYOUT = """
    view _unsafe_view reshape permute transpose t clone contiguous expand squeeze unsqueeze alias
    _to_copy detach slice select split split_with_sizes chunk unbind flatten unflatten movedim
    as_strided lift_fresh
"""
LAYOUT = frozenset(_LAYOUT.split())
_BATCH_NORMS = """
    native_batch_norm cudnn_batch_norm miopen_batch_norm batch_norm _batch_norm_with_update _batch_norm_no_update
    _native_batch_norm_legit _native_batch_norm_legit_no_training
"""
BATCH_NORMS = frozenset(_BATCH_NORMS.split())
NORMS = BATCH_NORMS | {"native_group_norm"}
_ACTIVATIONS = """
    relu relu6 hardtanh clamp clamp_min sigmoid tanh hardsigmoid softplus log_sigmoid_forward threshold
    elu celu selu gelu silu mish hardswish leaky_relu prelu _prelu_kernel rrelu_with_noise softsign
"""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
SCALES = frozenset(("mul", "div", "add", "sub", "rsub", "neg"))  # affine where only one side comes from the picture
WEIGHED = frozenset(("convolution", "addmm", "mm", "bmm", "baddbmm", "linear", "mkldnn_linear", "_convolution"))


@dataclass(frozen=True, slots=True)
class Step:
    """One ATen operation.

    Attributes:
        index: Its place in the forward.
        op: Its name without the namespace and the underscore of writing in place.
        path: The module whose forward was running.
        sources: The steps that made its tensors, in order; ``INPUT`` is the picture.
        weights: The parameters among its arguments, by name; a view of a parameter is that parameter.
        shape: Of its first output.
        shapes: Of its tensor arguments, in order.
        args: Its other arguments, as ATen has them.
        inplace: Whether it wrote into its first argument.
        size: Root mean square of its output, over a part of it.
        spread: Root mean square of what differs between the samples of the batch; None without a batch dimension.
        sums: One number a sample, to compare runs by; empty without a batch dimension.
        idle: Share of the output's channels that are 0 for every sample and place.
    """

    index: int
    op: str
    path: str
    sources: tuple[int, ...]
    weights: tuple[str, ...]
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    args: tuple[Any, ...]
    inplace: bool
    size: float = 0.0
    spread: float | None = None
    sums: tuple[float, ...] = ()
    idle: float = 0.0

    @property
    def weighed(self) -> bool:
        """Whether it is a linear map with weights of the net: a convolution or a product with a matrix."""
        return self.op in WEIGHED and bool(self.weights)


def lays_out(step: Step) -> bool:
    return step.op in LAYOUT


def rescales(step: Step) -> bool:
    """Layout, or arithmetic with constants."""
    return step.op in LAYOUT or (step.op in SCALES and len(step.sources) == 1 and not step.weights)


@dataclass
class Graph:
    """The steps of a forward pass in order, and who uses what."""

    steps: list[Step] = field(default_factory=list)
    outputs: tuple[int, ...] = ()  # the steps that made what the net returns

    @functools.cached_property
    def users(self) -> dict[int, list[Step]]:
        """The steps that take each step's output."""
        found: dict[int, list[Step]] = {step.index: [] for step in self.steps}
        found[INPUT] = []
        for step in self.steps:
            for source in dict.fromkeys(step.sources):
                found[source].append(step)
        return found

    def takers(self, start: int, through: Callable[[Step], bool] = lays_out) -> list[Step]:
        """The steps that take a step's output, behind those that ``through`` lets pass."""
        found: list[Step] = []
        ahead = list(self.users[start])
        while ahead:
            step = ahead.pop()
            if through(step):
                ahead += self.users[step.index]
            else:
                found.append(step)
        return found

    def back(self, start: int, through: Callable[[Step], bool]) -> Iterator[int]:
        """The nearest steps behind ``start`` that ``through`` does not let pass; ``INPUT`` where it gets that far."""
        seen: set[int] = set()
        ahead = [start]
        while ahead:
            index = ahead.pop()
            if index in seen:
                continue
            seen.add(index)
            if index == INPUT or not through(self.steps[index]):
                yield index
            else:
                ahead += self.steps[index].sources

    def made_from(self, start: int, through: Callable[[Step], bool] = lambda step: True) -> set[int]:
        """All steps that went into a step by a way that ``through`` lets pass, itself included."""
        seen: set[int] = set()
        ahead = [start]
        while ahead:
            index = ahead.pop()
            if index in seen:
                continue
            seen.add(index)
            if index != INPUT and through(self.steps[index]):
                ahead += self.steps[index].sources
        return seen

    def named(self, ops: Collection[str]) -> Iterator[Step]:
        return (step for step in self.steps if step.op in ops)
