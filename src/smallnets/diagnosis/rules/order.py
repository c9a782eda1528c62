"""What follows what: linear maps, norms, activations, dropout."""

import math
from collections.abc import Iterator

from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import ACTIVATIONS, BATCH_NORMS, INPUT, LAYOUT, Graph, Step, rescales
from ..registry import rule

POOLS = frozenset(("avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "mean"))
MAX_POOLS = frozenset(("max_pool2d_with_indices", "max_pool2d", "adaptive_max_pool2d"))


def linear(step: Step) -> bool:
    """What is a linear or affine map without weights of its own: layout, constants, batch norm in eval mode, means."""
    return rescales(step) or step.op in BATCH_NORMS or step.op in POOLS or step.op == "dropout"


def passes(step: Step) -> bool:
    """Layout, activations and pools: what was dropped before is still felt behind them."""
    return step.op in LAYOUT or step.op in ACTIVATIONS or step.op in POOLS or step.op in MAX_POOLS


def widths(step: Step, facts: Facts) -> tuple[int, int, int] | None:
    """Channels in and out of a dense linear map, and its window's numbers; None of a grouped one."""
    weight = next((facts.model.get_parameter(name) for name in step.weights if in_model(name, facts)), None)
    for name in step.weights:
        if in_model(name, facts) and facts.model.get_parameter(name).dim() > 1:
            weight = facts.model.get_parameter(name)
    if weight is None or weight.dim() < 2:
        return None
    if step.op == "convolution" and (step.args[-1] != 1 or weight.shape[1] != step.shapes[0][1]):
        return None
    return weight.shape[1], weight.shape[0], weight[0, 0].numel()


def in_model(name: str, facts: Facts) -> bool:
    try:
        facts.model.get_parameter(name)
    except AttributeError:
        return False
    return True


@rule(
    "missing-nonlinearity",
    "warning",
    looks_for="Two linear maps with no activation between them, also through a norm, a pool or dropout.",
    faulty="nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.Dropout(0.5), nn.Linear(64, 10))",
    sound="nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))",
    why="Two linear maps are one linear map: the second adds weights, not what the net can say.",
    source="Goodfellow, Bengio & Courville 2016, section 6.1",
    on_purpose="A narrow layer in between (a bottleneck, low rank), depthwise with pointwise, rows with columns: "
    "these are left alone.",
    cheap=True,
)
def missing_nonlinearity(facts: Facts) -> Iterator[Finding]:
    """Between two weighed layers there are only affine operations, norms, means and dropout."""
    graph = facts.graph
    for step in graph.steps:
        second = widths(step, facts) if step.weighed else None
        if second is None:
            continue
        behind = list(graph.back(step.sources[0], linear))
        if len(behind) != 1 or behind[0] == INPUT or not graph.steps[behind[0]].weighed:
            continue
        first = widths(graph.steps[behind[0]], facts)
        if first is None or first[1] < min(first[0], second[1]):
            continue
        if len(graph.takers(behind[0], linear)) > 1 or factorised(graph.steps[behind[0]], step, graph):
            continue  # something else takes it, too; or the two are one layer in parts
        before = graph.steps[behind[0]].path
        evidence: Evidence = {"before": before, "widths": [first[0], first[1], second[1]]}
        advice = f"Put an activation behind {before}: nn.ReLU()."
        yield Finding("missing-nonlinearity", "warning", step.path, evidence, advice)


def factorised(first: Step, second: Step, graph: Graph) -> bool:
    """Whether two layers are one in parts: rows and columns, or the linear end of an inverted residual block."""
    if first.op != "convolution" or second.op != "convolution":
        return False
    one, other = first.shapes[1][2:], second.shapes[1][2:]
    lines = sorted((min(one), min(other))) == [1, 1] and one.index(max(one)) != other.index(max(other))
    behind = [graph.steps[index] for index in graph.back(first.sources[0], lambda step: not step.weighed) if index >= 0]
    depthwise = any(step.op == "convolution" and step.args[-1] > 1 for step in behind)
    return (lines and max(one) > 1 and max(other) > 1) or (math.prod(one) == 1 and depthwise)


@rule(
    "bias-before-norm",
    "note",
    looks_for="A bias that the batch norm behind it takes away again.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), "
    "nn.Linear(288, 10))",
    why="The norm subtracts the mean, and the bias with it: a weight, a gradient and an optimiser's state for nothing.",
    source="Ioffe & Szegedy 2015, section 3.2",
    on_purpose="VGG with batch norm has them in torchvision's weights, ResNet50-layer4 in its report.",
    cheap=True,
)
def bias_before_norm(facts: Facts) -> Iterator[Finding]:
    """A layer's output goes into batch norms only, and it has a bias."""
    found: list[tuple[str, int]] = []
    for step in facts.graph.steps:
        users = list(facts.graph.users[step.index])
        biases = [name for name in step.weights if in_model(name, facts) and facts.model.get_parameter(name).dim() == 1]
        if step.weighed and biases and users and all(user.op in BATCH_NORMS for user in users):
            found.append((step.path, facts.model.get_parameter(biases[0]).numel()))
    if found:
        evidence: Evidence = {"layers": len(found), "numbers": sum(count for _, count in found), "last": found[-1][0]}
        yield Finding("bias-before-norm", "note", found[0][0], evidence, "Build the layer with bias=False.")


@rule(
    "dropout-at-output",
    "error",
    looks_for="Dropout on the logits.",
    faulty="nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.Dropout(0.5))",
    sound="nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 10))",
    why="The right class's logit is set to 0 half of the time, and the loss punishes the net for it.",
    source="Srivastava et al. 2014, section 4",
)
def dropout_at_output(facts: Facts) -> Iterator[Finding]:
    """Behind the dropout there is only layout and arithmetic with constants up to the output."""
    graph = facts.training.graph
    for made in graph.outputs[:1]:
        for index in graph.back(made, rescales):
            if index != INPUT and graph.steps[index].op == "dropout":
                advice = "Put the dropout before the last linear layer."
                yield Finding("dropout-at-output", "error", graph.steps[index].path, {}, advice)


@rule(
    "dropout-before-norm",
    "warning",
    looks_for="Dropout whose output goes into a batch norm.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(0.5), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), "
    "nn.Linear(288, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), "
    "nn.Linear(288, 10))",
    why="Dropout raises the variance in training and not in eval mode; the norm's running variance is wrong there.",
    source="Li, Chen, Hu & Yang 2019, 'Understanding the disharmony between dropout and batch normalization'",
    on_purpose="With a linear layer in between, as in a compact VGG head, the shift is smaller and is left alone.",
)
def dropout_before_norm(facts: Facts) -> Iterator[Finding]:
    """Between the dropout and a batch norm there are only activations, pools and layout."""
    graph: Graph = facts.training.graph
    for step in graph.named(BATCH_NORMS):
        for index in graph.back(step.sources[0], passes):
            if index != INPUT and graph.steps[index].op == "dropout":
                advice = "Put the dropout behind the norm and its activation."
                evidence: Evidence = {"dropout": graph.steps[index].path}
                yield Finding("dropout-before-norm", "warning", step.path, evidence, advice)
