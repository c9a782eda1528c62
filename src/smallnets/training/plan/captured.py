"""An update as a CUDA graph: the host starts it with one call instead of hundreds, which is what bounds small nets.

The host takes some microseconds to start each operation, a GPU hardly more to run it on a net for small pictures. A
graph (``torch.cuda.CUDAGraph``) holds the operations of one update on fixed memory: new pictures, labels and rates are
copied into it, then all of it runs. Same operations, same order, same numbers.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor, nn

from ..options import FitOptions

# Whose layers do in every step what they did in the one that was captured, whatever Python around them counts or draws.
KNOWN = ("torch.nn.", "torch.ao.nn.", "smallnets.", "torchvision.models.", "torchvision.ops.")
Update = Callable[[Tensor, Tensor], Tensor]
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Captured:
    """One update of one shape of batch, captured once and replayed with new pictures, labels and rates.

    Args:
        images: A batch, (N, C, H, W), in the layout of all that follow.
        labels: Its labels, (N,).
        optimizer: A fused one, whose state is there: one update was made before.
        update: Forward, backward and step; what it returns is overwritten by every replay.
    """

    def __init__(self, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, update: Update) -> None:
        self.images, self.labels = torch.empty_like(images).copy_(images), torch.empty_like(labels).copy_(labels)
        groups = optimizer.param_groups
        self.rates = [torch.tensor(float(group["lr"]), device=images.device) for group in groups]
        before: list[dict[str, Any]] = [
            {name: group[name] for name in ("lr", "capturable") if name in group} for group in groups
        ]
        self.graph = torch.cuda.CUDAGraph()
        try:
            for group, rate in zip(groups, self.rates, strict=True):
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = True
            with capturing(self.graph):
                self.result = update(self.images, self.labels)
        finally:
            for group, kept in zip(groups, before, strict=True):
                group.update(kept)

    def takes(self, images: Tensor) -> bool:
        return images.shape == self.images.shape and images.dtype == self.images.dtype

    def __call__(self, images: Tensor, labels: Tensor, rates: list[float]) -> Tensor:
        """The update's result for this batch; a copy, as the next replay writes over its own."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        for held, rate in zip(self.rates, rates, strict=True):
            held.fill_(rate)
        self.graph.replay()
        return self.result.clone()


def capture_pass(run: Callable[[], object]) -> Callable[[], None]:
    """What replays a forward and backward pass that ran before."""
    graph = torch.cuda.CUDAGraph()
    with capturing(graph):
        run()
    return graph.replay


@contextlib.contextmanager
def capturing(graph: torch.cuda.CUDAGraph) -> Generator[None, None, None]:
    """Capture what runs inside; after one that fails the generator draws on as before it."""
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    before = generator.clone_state()  # a capture that fails leaves the generator waiting for its end
    try:
        # Other threads may go on copying the next pictures meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            yield
    except BaseException:
        generator.graphsafe_set_state(before)
        raise


def can_be_captured(model: nn.Module, options: FitOptions, device: torch.device, world: int) -> bool:
    """Whether a replay is sure to do what a step would: known layers without hooks, nothing drawn by Python."""
    plain = isinstance(options.loss, str) and isinstance(options.optimizer, str) and options.mix is None
    if device.type != "cuda" or world > 1 or options.accumulate > 1 or options.deterministic or not plain:
        return False
    return all(is_known(module) for module in model.modules())


def is_known(module: nn.Module) -> bool:
    kind: Any = type(module)
    averaged = getattr(module, "momentum", 0) is not None  # a batch norm without reads its count, and waits for it
    return kind.__module__.startswith(KNOWN) and averaged and not any(getattr(module, name) for name in HOOKS)
