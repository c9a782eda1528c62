"""What a net returns: logits, one row a picture, one column a class."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..facts import Facts
from ..finding import Evidence, Finding, Severity
from ..graph import ACTIVATIONS, INPUT, rescales
from ..registry import rule

SOFT = frozenset(("leaky_relu", "prelu", "_prelu_kernel", "elu", "gelu", "silu", "mish", "hardswish", "celu", "selu"))
BENDS = frozenset(("maximum", "minimum", "exp", "abs"))  # activations where the other side is a constant


def last_steps(facts: Facts) -> list[int]:
    """The steps that decided the output's numbers: behind reshapes and constants."""
    graph = facts.graph
    return [step for made in graph.outputs[:1] for step in graph.back(made, rescales) if step != INPUT]


def sums_to_one(rows: Tensor) -> bool:
    """Whether rows, or columns, are shares of one."""
    if rows.dim() != 2 or min(rows.shape) < 2 or not bool((rows >= 0).all()):
        return False
    return any(torch.allclose(rows.double().sum(dim), torch.ones(()).double(), atol=1e-3) for dim in (1, 0))


@rule(
    "output-softmax",
    "error",
    looks_for="A net that ends in a softmax, and a loss that applies one itself.",
    faulty="nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.Softmax(1))",
    sound="nn.Sequential(nn.Flatten(), nn.Linear(192, 10))",
    why="Cross entropy takes the softmax of shares between 0 and 1, which are nearly alike: the loss cannot fall below "
    "ln(1 + (K - 1) / e), and the gradients are small. A log-softmax changes nothing but costs time.",
    source="torch.nn.CrossEntropyLoss: 'the input is expected to contain the unnormalized logits'",
    on_purpose="With a loss that takes probabilities; give it as loss=.",
    cheap=True,
)
def output_softmax(facts: Facts) -> Iterator[Finding]:
    """The last operation is a softmax, or rows are shares of 1."""
    logits = facts.logits
    if logits is None or logits.dim() != 2:
        return
    steps = [facts.graph.steps[index] for index in last_steps(facts)]
    last = steps[0] if len(steps) == 1 else None
    path = last.path if last is not None else ""
    logarithm = (last is not None and last.op == "_log_softmax") or sums_to_one(logits.double().exp())
    advice = "Return the logits: leave the softmax out, and apply it where probabilities are shown."
    if logarithm and facts.takes_logits:
        yield Finding("output-softmax", "warning", path, {"operation": "log_softmax"}, advice)
        return
    negative = isinstance(facts.loss, nn.NLLLoss) or facts.loss is F.nll_loss
    if not facts.takes_logits and not negative:
        return
    if (last is not None and last.op == "_softmax") or sums_to_one(logits):
        floor = math.log(1 + (logits.shape[1] - 1) / math.e)
        yield Finding("output-softmax", "error", path, {"operation": "softmax", "lowest_loss": floor}, advice)


@rule(
    "output-activation",
    "error",
    looks_for="A sigmoid, ReLU, tanh or another activation on the logits.",
    faulty="nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.ReLU())",
    sound="nn.Sequential(nn.Flatten(), nn.Linear(192, 10))",
    why="Logits may be any number; where an activation bounds them, the loss cannot fall to 0, and a rectified class "
    "that is 0 for all pictures gets no gradient.",
    source="Goodfellow, Bengio & Courville 2016, section 6.2.2",
    on_purpose="With a loss that takes such values; give it as loss=.",
    cheap=True,
)
def output_activation(facts: Facts) -> Iterator[Finding]:
    """The last operation, but for layout and constants, is an activation."""
    if not facts.takes_logits:
        return
    steps = [facts.graph.steps[index] for index in last_steps(facts)]
    if len(steps) == 1 and (steps[0].op in ACTIVATIONS or (steps[0].op in BENDS and len(set(steps[0].sources)) == 1)):
        op = steps[0].op.lstrip("_")
        advice = f"Return what goes into the {op}."
        severity: Severity = "warning" if steps[0].op in SOFT else "error"
        yield Finding("output-activation", severity, steps[0].path, {"operation": op}, advice)


@rule(
    "output-size",
    "error",
    looks_for="An output that is not one row a picture and one column a class.",
    faulty="nn.Sequential(nn.Flatten(), nn.Linear(192, 1000))",
    sound="nn.Sequential(nn.Flatten(), nn.Linear(192, 10))",
    why="Too few columns are an error or an assertion on the device; too many take part in the softmax for nothing.",
    source="torch.nn.CrossEntropyLoss, shape",
    cheap=True,
)
def output_size(facts: Facts) -> Iterator[Finding]:
    """The shape of what the net returns."""
    logits, count = facts.logits, len(facts.images)
    if logits is None and facts.eval.failure is None and facts.eval.graph.steps:
        returned = type(facts.eval.returned).__name__
        yield Finding("output-size", "error", "", {"output": returned}, "End forward with: return logits.")
    if logits is None or (logits.dim() >= 1 and len(logits) != count):  # flatten-batch says that
        return
    last = next((step for step in reversed(facts.graph.steps) if step.weighed), None)
    path = last.path if last is not None else ""
    if logits.dim() != 2:
        advice = "Return (N, classes): flatten the maps, as in x.flatten(1), or average over them."
        yield Finding("output-size", "error", path, {"output": list(logits.shape)}, advice)
    elif logits.shape[1] != (facts.num_classes or logits.shape[1]) or (logits.shape[1] == 1 and facts.takes_logits):
        wanted = facts.num_classes or 2
        layer = facts.modules.get(path)
        line = f"nn.Linear({layer.in_features}, {wanted})" if isinstance(layer, nn.Linear) else f"{wanted} outputs"
        evidence: Evidence = {"classes": wanted, "logits": logits.shape[1]}
        yield Finding("output-size", "error", path, evidence, f"Give the last layer one output a class: {line}.")


@rule(
    "flatten-batch",
    "error",
    looks_for="A view that puts pictures together or apart, so that rows are no longer pictures.",
    faulty="Net(lambda s, x: s.fc(F.max_pool2d(s.conv(x).relu(), 4).view(-1, 8)), conv=nn.Conv2d(3, 8, 3, padding=1), "
    "fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(F.max_pool2d(s.conv(x).relu(), 4).flatten(1)), conv=nn.Conv2d(3, 8, 3, padding=1), "
    "fc=nn.Linear(32, 10))",
    why="The loss compares rows with other pictures' labels, or does not run; a size that fits by chance hides it.",
    on_purpose="Where windows of a picture are rows for a while and come back together.",
    cheap=True,
)
def flatten_batch(facts: Facts) -> Iterator[Finding]:
    """The last reshape that changed the first dimension, where the output has another number of rows."""
    count = len(facts.images)
    for trace in (facts.eval, facts.training):
        graph = trace.graph
        rows = facts.logits
        wrong = trace.failure is not None or (rows is not None and rows.dim() >= 1 and len(rows) != count)
        steps = graph.steps
        if not wrong or not steps:
            continue
        # The rows at the end, or where it failed; then the last reshape that left the batch.
        if trace.failure is None and (rows is None or len(rows) == count):
            continue
        last = graph.outputs[0] if graph.outputs else steps[-1].index
        for index in sorted(graph.made_from(last), reverse=True):
            if index == INPUT:
                break
            step = steps[index]
            if step.op in ("view", "_unsafe_view", "reshape") and step.shapes and step.shapes[0][:1] != step.shape[:1]:
                if step.shapes[0][0] != count or math.prod(step.shape) % count:
                    continue
                advice = "Keep the first dimension: x.flatten(1), or x.view(x.size(0), -1)."
                evidence: Evidence = {"before": list(step.shapes[0]), "after": list(step.shape)}
                yield Finding("flatten-batch", "error", step.path, evidence, advice)
                return
