"""Feature maps: too small, copied, skipped over, smaller in their field than the picture."""

from collections.abc import Iterator
from typing import Any

from ...errors import SmallnetsError
from ...summary import min_input_size, receptive_field
from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import ACTIVATIONS, INPUT, NORMS, Graph, Step, lays_out
from ..registry import rule
from .shortcuts import GLOBAL

POOLS = frozenset(("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"))


def pair(value: Any) -> tuple[int, int]:
    """(h, w) of what may be one number for both."""
    numbers = value if isinstance(value, list | tuple) else [value]
    return (int(numbers[0]), int(numbers[-1])) if numbers else (0, 0)


def kernel_of(step: Step, facts: Facts) -> tuple[int, int] | None:
    """The sides of a convolution's window in pixels of its input, dilation included."""
    if step.op != "convolution" or len(step.shapes) < 2 or len(step.shapes[1]) != 4:
        return None
    dilation = pair(step.args[2]) if len(step.args) > 2 else (1, 1)
    height, width = step.shapes[1][2:]
    return dilation[0] * (height - 1) + 1, dilation[1] * (width - 1) + 1


@rule(
    "map-too-small",
    "warning",
    looks_for="A convolution whose window is mostly padding, and strides that leave one pixel before the last layers.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(6), nn.Conv2d(8, 8, 3, padding=1), "
    "nn.ReLU(), nn.Flatten(), nn.Linear(8, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), "
    "nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))",
    why="A 3x3 over one pixel uses one of its nine weights for each channel: the others meet zeros only.",
    source="He et al. 2016, section 4.2: the stem for 32x32 pictures",
    on_purpose="Behind global pooling 1x1 convolutions are linear layers; they are left alone.",
    cheap=True,
)
def map_too_small(facts: Facts) -> Iterator[Finding]:
    """A window's sides against those of its map; convolutions on the one pixel that strides have left."""
    if facts.eval.failure is not None:
        return
    wasted = [step for step in facts.graph.steps if padded(step, facts)]
    if wasted:
        step = wasted[0]
        evidence: Evidence = {"map": list(step.shapes[0][2:]), "layers": len(wasted), "last": wasted[-1].path}
        advice = "Take a stem for small pictures (stride 1, no pool; stem='cifar'), or leave out a stride or pool."
        yield Finding("map-too-small", "warning", step.path, evidence, advice)
        return
    graph = facts.graph
    early = [step for step in graph.steps if step.op == "convolution" and shrunk_to_one(step, facts)]
    if len(early) > 1:
        advice = "Leave out a stride or pool in front of it, or enlarge the pictures."
        evidence = {"map": [1, 1], "layers": len(early), "last": early[-1].path}
        yield Finding("map-too-small", "warning", early[0].path, evidence, advice)


def padded(step: Step, facts: Facts) -> bool:
    """Whether less than half of a window's rows and columns can ever meet a pixel."""
    kernel = kernel_of(step, facts)
    if kernel is None or min(kernel) < 2 or len(step.shapes[0]) != 4:
        return False
    padding = pair(step.args[1])
    sides = step.shapes[0][2:]
    return all(2 * side < window + 1 and pad > 0 for side, window, pad in zip(sides, kernel, padding, strict=True))


def shrunk_to_one(step: Step, facts: Facts) -> bool:
    """Whether a convolution works on one pixel that strides, not a global pool, have left."""
    if tuple(step.shapes[0][2:]) != (1, 1) or max(facts.images.shape[2:]) == 1:
        return False
    graph, index = facts.graph, step.sources[0]
    while index != INPUT:
        made = graph.steps[index]
        if made.op in GLOBAL or made.op.startswith("adaptive"):
            return False
        if len(made.shapes[0]) == 4 and max(made.shapes[0][2:]) > 1:
            kernel = kernel_of(made, facts) or pair(made.args[0] if made.args else 1)
            return tuple(kernel) != tuple(made.shapes[0][2:])  # a window over the whole map is a linear layer
        index = made.sources[0]
    return False


@rule(
    "input-too-small",
    "error",
    looks_for="Pictures smaller than the net can take.",
    faulty="nn.Sequential(*[nn.MaxPool2d(2) for _ in range(4)], nn.Flatten(), nn.Linear(3, 10))",
    sound="nn.Sequential(*[nn.MaxPool2d(2) for _ in range(3)], nn.Flatten(), nn.Linear(3, 10))",
    why="A map has no pixel left.",
    cheap=True,
)
def input_too_small(facts: Facts) -> Iterator[Finding]:
    """Where the net does not run, the smallest side that works is searched on shapes alone."""
    if facts.eval.failure is None or facts.images.dim() != 4:
        return
    try:
        least = min_input_size(facts.model)
    except SmallnetsError:
        return
    size = facts.images.shape[2:]
    if size[0] < least[0] or size[1] < least[1]:
        advice = f"Enlarge the pictures to at least {least[0]}x{least[1]}, or leave out a pool."
        evidence: Evidence = {"picture": list(size), "least": list(least)}
        yield Finding("input-too-small", "error", facts.eval.failure[0], evidence, advice)


@rule(
    "field-smaller-than-picture",
    "note",
    looks_for="A last map whose receptive field is smaller than the picture.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
    "nn.Linear(8, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 7, padding=3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), "
    "nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))",
    why="No unit sees the whole; the average at the end counts parts.",
    source="Luo et al. 2016, 'Understanding the effective receptive field in deep convolutional neural networks'",
    on_purpose="Textures, bags of local features (Brendel & Bethge 2019); AlexNet and VGG at 224 pixels have it.",
)
def field_smaller_than_picture(facts: Facts) -> Iterator[Finding]:
    """The receptive field of the last convolution is computed from kernels and strides."""
    size = tuple(facts.images.shape[2:])
    maps = [step for step in facts.graph.steps if step.op == "convolution" and len(step.shape) == 4]
    if facts.eval.failure is not None or len(size) != 2 or not maps or max(maps[-1].shape[2:]) == 1:
        return
    try:
        seen = receptive_field(facts.model, tuple(facts.images.shape[1:]), at=maps[-1].path or None)
    except (SmallnetsError, KeyError):
        return
    if any(float(side) < pixels for side, pixels in zip(seen.size, size, strict=True)):
        evidence: Evidence = {"field": [int(side) for side in seen.size], "picture": list(size)}
        advice = "Add a stride, a pool or layers where the whole picture matters."
        yield Finding("field-smaller-than-picture", "note", maps[-1].path, evidence, advice)


@rule(
    "repeated-cells",
    "warning",
    looks_for="An adaptive pool that makes its map larger, by copying.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(6), nn.AdaptiveAvgPool2d(7), nn.Flatten(), "
    "nn.Linear(392, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
    "nn.Linear(8, 10))",
    why="The linear layer behind it gets each number many times over: weights that can say nothing more.",
    source="torch.nn.AdaptiveAvgPool2d; a VGG head at 32x32 gets 49 copies of one pixel",
    on_purpose="Weights of a net for larger pictures, used on smaller ones.",
    cheap=True,
)
def repeated_cells(facts: Facts) -> Iterator[Finding]:
    """The output of an adaptive pool is larger than its input."""
    for step in facts.graph.named(("_adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d")):
        before, after = step.shapes[0][-2:], step.shape[-2:]
        if after[0] > before[0] or after[1] > before[1]:
            copies = (after[0] * after[1]) / (before[0] * before[1])
            evidence: Evidence = {"map": list(before), "pooled": list(after), "copies": round(copies, 2)}
            advice = "Pool to 1x1 and make the linear layer smaller (head='linear'), or enlarge the pictures."
            yield Finding("repeated-cells", "warning", step.path, evidence, advice)


@rule(
    "skips-pixels",
    "warning",
    looks_for="A convolution or pool whose stride is larger than its window.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 2, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))",
    why="Pixels between the windows are never looked at.",
    source="Goyal et al. 2017, footnote on the stride of v1.5",
    on_purpose="Projection shortcuts, and the first 1x1 of a bottleneck as in He et al. 2016: these are left alone.",
    cheap=True,
)
def skips_pixels(facts: Facts) -> Iterator[Finding]:
    """Strides are larger than windows, and nothing else takes the same input."""
    for step in facts.graph.steps:
        kernel, stride = windows(step, facts)
        if kernel is None or not (stride[0] > kernel[0] or stride[1] > kernel[1]):
            continue
        if kernel == (1, 1) and branches_off(step, facts.graph):
            continue  # another branch sees what this one skips: a shortcut, or the start of a bottleneck beside one
        evidence: Evidence = {"kernel": list(kernel), "stride": list(stride)}
        advice = f"Make the window at least as large as the stride: kernel_size={max(stride)}."
        yield Finding("skips-pixels", "warning", step.path, evidence, advice)


def branches_off(step: Step, graph: Graph) -> bool:
    """Whether something else takes the same input, or what it is normalised and activated from."""
    index = step.sources[0]
    while len(graph.takers(index)) == 1:
        if index == INPUT or not (lays_out(made := graph.steps[index]) or made.op in NORMS or made.op in ACTIVATIONS):
            return False
        index = made.sources[0]
    return True


def windows(step: Step, facts: Facts) -> tuple[tuple[int, int] | None, tuple[int, int]]:
    """Sides and strides of a convolution's or pool's window."""
    kernel = kernel_of(step, facts)
    if kernel is not None and step.args[3:4] != (True,):  # not a transposed one
        return kernel, pair(step.args[0])
    if step.op in POOLS and step.args:
        window = pair(step.args[0])
        given: Any = step.args[1] if len(step.args) > 1 else None
        return window, (pair(given) if given else window)
    return None, (1, 1)
