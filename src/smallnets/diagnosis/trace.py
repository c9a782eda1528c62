"""Running a net on one small batch and noting what was computed where."""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from .graph import INPUT, Graph, Step

SAMPLE = 4096  # numbers a sample that its statistics look at
PLACES = 64  # pixels of a map that are looked at for a channel that is zero
SILENT = frozenset(("detach", "alias", "lift_fresh"))
# What comes from these has a shape of the picture's, but none of its numbers.
_BLANK = """
    empty_like zeros_like ones_like full_like rand_like randn_like new_empty new_zeros new_ones
"""
BLANK = frozenset(_BLANK.split())
MASKING = frozenset(("mul", "mul_", "div", "div_", "where", "native_dropout", "masked_fill"))
RANDOM = frozenset(("bernoulli", "bernoulli_", "rand_like", "randn_like", "native_dropout", "uniform_", "normal_"))


@dataclass
class Call:
    """How often a module ran, what reached it and left it first, and from where it was called.

    Attributes:
        caller: The path of the module that called it first.
        callers: The paths of all that called it.
        graded: Whether gradients were switched on where it was called.
        fed: Whether a gradient can flow back from it to what it was given.
        feeds: Whether one can flow back into it.
        source: The step behind its first input.
        made: The step behind its first output.
    """

    caller: str = ""
    callers: set[str] = field(default_factory=set)
    count: int = 0
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    graded: bool = True
    fed: bool = False
    feeds: bool = False
    source: int | None = None
    made: int | None = None


@dataclass
class Trace:
    """What one run of the net showed.

    Attributes:
        graph: The operations.
        calls: Each module that ran, by path.
        returned: What the net returned.
        strangers: Weights that trained layers use and the net does not own: the path where, and their shape.
        used: The parameters that anything was computed with.
        failure: What ended the run, and the path of the innermost module that was running.
        drawn: Whether anything drew random numbers.
    """

    graph: Graph = field(default_factory=Graph)
    calls: dict[str, Call] = field(default_factory=dict)
    returned: Any = None
    strangers: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    failure: tuple[str, Exception] | None = None
    drawn: bool = False


class Watch(TorchDispatchMode):
    """Notes each ATen operation as a step."""

    def __init__(self, model: nn.Module, images: Tensor, original: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace, self.path = Trace(), [""]
        self.count = len(images)
        self.alive: list[Tensor] = [images]  # a storage that is freed would give its place to another
        self.makers: dict[Any, int] = {where(images): INPUT}
        self.writers: dict[int, int] = {storage(images): INPUT}
        both = (*original.named_parameters(), *model.named_parameters())
        self.owned = {storage(parameter): name for name, parameter in both if not is_lazy(parameter)}
        self.random: set[int] = set()  # storages of masks and noise
        self.foreign: set[int] = set()  # of what is made of weights that the net does not own

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is ever compiled, and saying so would cost the import of the compiler."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tensors_in((args, tuple((kwargs or {}).values())))
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.trace.drawn |= torch.Tag.nondeterministic_seeded in func.tags
        if name not in SILENT:
            self.note(name, given, args, out)
        return out

    def note(self, name: str, given: list[Tensor], args: Any, out: Any) -> None:
        made = tensors_in((out,))
        if name in RANDOM and name != "native_dropout":
            self.random |= {storage(tensor) for tensor in made}
        if name in BLANK or (name in RANDOM and name != "native_dropout"):
            for tensor in made:  # its memory may be known from before
                self.makers.pop(where(tensor), None)
                self.writers.pop(storage(tensor), None)
            self.alive += made
            return
        masked = name in MASKING and any(storage(tensor) in self.random for tensor in given)
        sources = [self.maker(tensor) for tensor in given]
        behind = tuple(source for source in sources if source is not None)
        weights = tuple(self.owned[storage(tensor)] for tensor in given if storage(tensor) in self.owned)
        self.trace.used |= set(weights)
        foreign = [tensor for tensor in given if self.is_foreign(tensor)]
        if behind and foreign:
            self.trace.strangers += [(self.path[-1], tuple(tensor.shape)) for tensor in foreign]
        if not made or not behind:
            for tensor in made:  # a weight made of weights, a mask made of a mask
                if weights:
                    self.owned.setdefault(storage(tensor), weights[0])
                if masked:
                    self.random.add(storage(tensor))
                if foreign:
                    self.foreign.add(storage(tensor))
            self.alive += made
            return
        index = len(self.trace.graph.steps)
        inplace = name.endswith("_") and not name.startswith("_")
        step = Step(
            index,
            "dropout" if masked or name == "native_dropout" else name.rstrip("_") if inplace else name,
            self.path[-1],
            behind,
            weights,
            tuple(made[0].shape),
            tuple(tuple(tensor.shape) for tensor in given),
            args[3:] if name == "convolution" else tuple(value for value in args if not isinstance(value, Tensor)),
            inplace,
            **statistics(made[0], self.count),
        )
        self.trace.graph.steps.append(step)
        for tensor in made:
            self.makers[where(tensor)] = self.writers[storage(tensor)] = index
        self.alive += made

    def is_foreign(self, tensor: Tensor) -> bool:
        """Whether it is a trained weight, or made of one, that no optimiser will be given."""
        if storage(tensor) in self.owned or self.maker(tensor) is not None:
            return False
        return storage(tensor) in self.foreign or (tensor.requires_grad and tensor.is_leaf)

    def maker(self, tensor: Tensor) -> int | None:
        """The step that made a tensor; of an unknown view, the last that wrote into its memory."""
        found = self.makers.get(where(tensor))
        return self.writers.get(storage(tensor)) if found is None else found

    @contextlib.contextmanager
    def inside(self, path: str) -> Generator[None, None, None]:
        self.path.append(path)
        try:
            yield
        finally:
            self.path.pop()


def run(model: nn.Module, images: Tensor, original: nn.Module) -> Trace:
    """Run the net once and note every operation; the mode (train or eval) is the model's own."""
    watch = Watch(model, images, original)
    trace = watch.trace
    with wrapped(model, watch):
        try:
            with watch:
                trace.returned = model(images)
        except Exception as error:
            trace.failure = trace.failure or ("", error)
    made = (watch.maker(tensor) for tensor in outputs_of(trace.returned, len(images)))
    trace.graph.outputs = tuple(step for step in made if step is not None)
    return trace


def outputs_of(returned: Any, count: int) -> list[Tensor]:
    """The tensors that a net returned, what are most likely its logits first: by name, else by shape."""
    found = tensors_in((returned,))
    called = returned.get("logits", returned.get("out")) if isinstance(returned, Mapping) else None
    called = getattr(returned, "logits", called)

    def doubt(tensor: Tensor) -> tuple[bool, bool]:
        return tensor is not called, tensor.dim() != 2 or len(tensor) != count

    return sorted(found, key=doubt)


@contextlib.contextmanager
def wrapped(model: nn.Module, watch: Watch) -> Generator[None, None, None]:
    """Each module's forward says its path to the watch."""
    trace = watch.trace
    own: list[tuple[nn.Module, Any]] = []

    def wrap(path: str, module: nn.Module) -> None:
        inner = module.forward
        own.append((module, module.__dict__.get("forward")))

        def forward(*args: Any, **kwargs: Any) -> Any:
            call = trace.calls.setdefault(path, Call())
            call.count += 1
            call.callers.add(watch.path[-1])
            first = next(iter(tensors_in((args, tuple(kwargs.values())))), None)
            if not call.input and first is not None:
                call.input, call.fed = tuple(first.shape), first.requires_grad
                call.caller, call.source = watch.path[-1], watch.maker(first)
                call.graded = torch.is_grad_enabled()
            with watch.inside(path):
                try:
                    out = inner(*args, **kwargs)
                except Exception as error:
                    trace.failure = trace.failure or (path, error)
                    raise
            made = next(iter(tensors_in((out,))), None)
            if not call.output and made is not None:
                call.output, call.feeds = tuple(made.shape), made.requires_grad
                call.made = watch.maker(made)
            return out

        module.__dict__["forward"] = forward

    for path, module in model.named_modules():
        wrap(path, module)
    try:
        yield
    finally:
        for module, forward in own:
            if forward is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = forward


def statistics(out: Tensor, count: int) -> dict[str, Any]:
    """Size and spread of an output, over a part of its numbers: reading all of them would take as long as the net."""
    if not out.is_floating_point() or not out.numel() or out.layout is not torch.strided:
        return {}
    out = out.detach()
    batched = out.dim() > 1 and len(out) == count
    rows = out.reshape(count if batched else 1, -1)
    some = rows[:, :: max(1, rows.shape[1] // SAMPLE)].float()
    found: dict[str, Any] = {"size": some.square().mean().sqrt().item()}
    if batched:
        found["spread"] = (some - some.mean(0)).square().mean().sqrt().item()
        weights = torch.arange(some.shape[1], device=some.device).cos()  # a plain sum would not see a permutation
        found["sums"] = tuple((some * weights).double().sum(1).tolist())
        places = out.reshape(count, out.shape[1], -1)
        places = places[:, :, :: max(1, places.shape[2] // PLACES)]
        found["idle"] = (places.abs().amax((0, 2)) == 0).float().mean().item()
    return found


def root_mean_square(tensor: Tensor) -> float:
    """The size of a tensor's numbers, without a second tensor of its size."""
    return torch.linalg.vector_norm(tensor.detach(), dtype=torch.float32).item() / max(tensor.numel(), 1) ** 0.5


def tensors_in(values: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    found: list[Tensor] = []
    for value in values.values() if isinstance(values, Mapping) else values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list | Mapping):
            found += tensors_in(value)
        elif hasattr(value, "__dataclass_fields__"):
            found += tensors_in(vars(value))
    return found


def storage(tensor: Tensor) -> int:
    if tensor.layout is not torch.strided:  # sparse ones have none
        return id(tensor)
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def where(tensor: Tensor) -> tuple[Any, ...]:
    """What tells a tensor from other views of the same memory; a view under autograd is not the same object."""
    if tensor.layout is not torch.strided:
        return (id(tensor),)
    return storage(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
