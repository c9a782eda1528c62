"""Gradients: what gets none, what is frozen, what starts alike."""

from collections.abc import Iterator

from torch import nn

from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import BATCH_NORMS, INPUT, Step
from ..registry import rule

# Where the derivative is zero or there is none.
_FLAT = """
    round floor ceil trunc sign sgn heaviside argmax argmin argsort bucketize one_hot eq ne gt ge lt le
"""
FLAT = frozenset(_FLAT.split())


def trained(facts: Facts) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in facts.model.named_parameters() if parameter.requires_grad}


@rule(
    "no-gradient",
    "error",
    looks_for="Weights that took part but that no gradient reaches: detach, .data, no_grad, argmax, round in between.",
    faulty="Net(lambda s, x: s.fc(s.conv(x).relu().detach().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(s.conv(x).relu().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(8, 10))",
    why="The layers in front of the cut stay as they were drawn.",
    source="torch.autograd, locally disabling gradient computation",
    on_purpose="Where a part is frozen on purpose: set requires_grad=False, which says so.",
)
def no_gradient(facts: Facts) -> Iterator[Finding]:
    """A trained parameter that was used has no gradient after the backward pass, or only zeros behind a rounding."""
    trace = facts.training
    if trace.failure is not None or facts.loss_value is None:
        return
    cut = [name for name in trained(facts) if name in trace.used and name not in facts.gradients]
    flat = flat_steps(facts)
    if cut:
        path, operation = place_of_cut(facts, set(cut))
        evidence: Evidence = {"weights": len(cut), "first": cut[0], "last": cut[-1]}
        if operation:
            evidence["operation"] = operation
        advice = "Take out what cuts the graph there: detach(), .data, torch.no_grad() or a rounding."
        yield Finding("no-gradient", "error", path, evidence, advice)
    elif flat:
        step, names = flat
        advice = (
            f"{step.op} has no gradient: leave it out, or pass it straight through: x + ({step.op}(x) - x).detach()."
        )
        evidence = {"weights": len(names), "first": names[0], "operation": step.op}
        yield Finding("no-gradient", "error", step.path, evidence, advice)


def flat_steps(facts: Facts) -> tuple[Step, list[str]] | None:
    """An operation without slope, and the weights behind it whose gradients are all zero."""
    trace = facts.training
    graph = trace.graph
    if not graph.outputs:
        return None
    used = graph.made_from(graph.outputs[0])
    sloped = graph.made_from(graph.outputs[0], lambda step: step.op not in FLAT)
    for step in graph.steps:
        if step.op in FLAT and step.index in used:
            behind = graph.made_from(step.index) - sloped
            names = [name for index in sorted(behind) if index >= 0 for name in graph.steps[index].weights]
            names = [name for name in dict.fromkeys(names) if name in trained(facts)]
            if names and all(facts.gradients.get(name, 0.0) == 0.0 for name in names):
                return step, names
    return None


def place_of_cut(facts: Facts, cut: set[str]) -> tuple[str, str]:
    """The module in whose forward the graph ends, and the operation without slope, where it is one."""
    trace = facts.training
    graph = trace.graph
    flat = flat_steps(facts)
    if flat is not None:
        return flat[0].path, flat[0].op
    inner = [  # modules that got or hold something to train, and give what no gradient flows into
        path
        for path, call in trace.calls.items()
        if call.output and not call.feeds and any(f"{path}.{name}".lstrip(".") in cut for name, _ in named(facts, path))
    ]
    if inner:
        deepest = [path for path in inner if not any(other != path and inside(other, path) for other in inner)]
        above = [path for path in deepest if "." in path or path]
        # Children that give nothing, called by one whose own output feeds: it is the caller that cuts them off.
        if above and not trace.calls[above[-1]].graded:  # no_grad was on before it was called
            path = above[-1]
            while path and not trace.calls[path].graded:
                path = trace.calls[path].caller
            return path, "no_grad"
        callers = {trace.calls[path].caller for path in above}
        if len(callers) == 1 and len(above) > 1:
            return callers.pop(), ""
        return (above or deepest)[-1], ""
    for call in trace.calls.values():  # a layer that is given what no gradient flows into, though weights made it
        if call.input and not call.fed and call.source is not None and call.source >= 0:
            behind = graph.made_from(call.source)
            if any(name in cut for index in behind if index >= 0 for name in graph.steps[index].weights):
                return call.caller, ""
    path = max((step for step in graph.steps if set(step.weights) & cut), key=lambda step: step.index).path
    while path and trace.calls[path].feeds:  # what it gives still has its gradient: it is cut behind it
        path = trace.calls[path].caller
    return path, ""


def named(facts: Facts, path: str) -> Iterator[tuple[str, nn.Parameter]]:
    return facts.modules[path].named_parameters()


def inside(path: str, outer: str) -> bool:
    return not outer or path.startswith(f"{outer}.")


@rule(
    "zero-gradient",
    "error",
    looks_for="Weights whose gradient is exactly zero, all of it.",
    faulty="Net(lambda s, x: s.fc((s.conv(x) * 0 + 1).relu().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc((s.conv(x) * 1 + 1).relu().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(8, 10))",
    why="They never move: a dead activation, a factor of 0, or a saturated function is in between.",
    on_purpose="A branch that starts at zero by a trained scale of its own is left alone.",
)
def zero_gradient(facts: Facts) -> Iterator[Finding]:
    """The gradient of a trained parameter is 0 everywhere after the backward pass."""
    trace = facts.training
    if trace.failure is not None or not trace.graph.outputs or flat_steps(facts) is not None:
        return
    zero = {name for name in trained(facts) if facts.gradients.get(name) == 0.0} - before_norms(facts)
    if not zero:
        return
    graph, parameters = trace.graph, trained(facts)
    # A scale or weight that is 0 itself but learns will let gradients through from the next step on.
    opening = {name for name, p in parameters.items() if facts.gradients.get(name) and not bool(p.detach().any())}
    opened: set[int] = set()
    for step in graph.steps:
        if opening & set(step.weights):
            opened |= graph.made_from(step.index)
    held = [step for step in graph.steps if zero & set(step.weights) and step.index not in opened]
    # What comes behind the place gets zeros in, and has no gradient for that reason.
    fed = [step for step in held if step.sources[0] == INPUT or graph.steps[step.sources[0]].size > 0]
    held = fed or held
    names = [name for step in held for name in step.weights if name in zero]
    if names:
        last = held[-1]
        advice = "Look at what its output goes through: an activation that is 0 everywhere, a factor of 0."
        yield Finding("zero-gradient", "error", last.path, {"weights": len(set(names)), "first": names[0]}, advice)


def before_norms(facts: Facts) -> set[str]:
    """Biases that the norm behind them takes away again."""
    graph = facts.training.graph
    users = graph.users
    found: set[str] = set()
    for step in graph.steps:
        if step.weighed and users[step.index] and all(user.op in BATCH_NORMS for user in users[step.index]):
            found |= {name for name in step.weights if facts.model.get_parameter(name).dim() == 1}
    return found


@rule(
    "frozen",
    "warning",
    looks_for="Frozen parts whose batch norms still move, and nets in which nothing can learn.",
    faulty="net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))\n"
    "net[:2].requires_grad_(False)",
    sound="net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))\n"
    "net[:1].requires_grad_(False)",
    why="Setting requires_grad=False holds weights, not running statistics: the frozen part changes all the same.",
    source="torch.nn.BatchNorm2d; smallnets.freeze",
    on_purpose="Where the statistics are to follow the new pictures.",
)
def frozen(facts: Facts) -> Iterator[Finding]:
    """Running statistics of norms whose weights are frozen change in a run in training mode."""
    parameters = list(facts.model.named_parameters())
    if parameters and not any(parameter.requires_grad for _, parameter in parameters):
        advice = "Set requires_grad=True on what is to learn."
        yield Finding("frozen", "error", "", {"parameters": sum(p.numel() for _, p in parameters)}, advice)
        return
    held = {name for name, parameter in parameters if not parameter.requires_grad}
    moving = [
        path
        for path, module in facts.modules.items()
        if isinstance(module, nn.modules.batchnorm._NormBase)  # pyright: ignore[reportPrivateUsage]
        and any(buffer.rpartition(".")[0] == path for buffer in facts.moved)
        and (f"{path}.weight" in held or (not module.affine and part_of_frozen(path, facts, held)))
    ]
    if moving:
        advice = "Keep those norms in eval mode while you train, or freeze with smallnets.freeze, which does."
        yield Finding("frozen", "warning", moving[0], {"norms": len(moving), "last": moving[-1]}, advice)


def part_of_frozen(path: str, facts: Facts, held: set[str]) -> bool:
    outer = path.rpartition(".")[0]
    names = [f"{outer}.{name}".lstrip(".") for name, _ in named(facts, outer)]
    return bool(names) and all(name in held for name in names)


@rule(
    "symmetric-initialisation",
    "error",
    looks_for="Hidden layers whose units all start alike.",
    faulty="net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 10))\n"
    "nn.init.constant_(net[1].weight, 0.01)",
    sound="net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 10))\n"
    "nn.init.normal_(net[1].weight, std=0.01)",
    why="Units that start alike get equal gradients and stay alike: the layer is worth a single unit.",
    source="Goodfellow, Bengio & Courville 2016, section 8.4",
    on_purpose="The last layer, and the last of a residual branch, may start at zero.",
    cheap=True,
)
def symmetric_initialisation(facts: Facts) -> Iterator[Finding]:
    """All rows of a hidden layer's weight are equal."""
    graph = facts.graph
    weighed = [step for step in graph.steps if step.weighed]
    for step in weighed:
        name = next((name for name in step.weights if facts.model.get_parameter(name).dim() > 1), None)
        if name is None or step is weighed[-1]:
            continue
        weight = facts.model.get_parameter(name)
        rows = weight.detach().flatten(1)
        depthwise = weight.dim() > 2 and weight.shape[1] == 1
        alike = len(rows) > 1 and bool((rows == rows[:1]).all()) and (not depthwise or not bool(rows.any()))
        if alike and weight.requires_grad and not ends_branch(step, facts):
            advice = "Draw it at random: torch.nn.init.kaiming_normal_(layer.weight)."
            evidence: Evidence = {"units": len(rows), "value": float(rows[0, 0])}
            yield Finding("symmetric-initialisation", "error", step.path, evidence, advice)


def ends_branch(step: Step, facts: Facts) -> bool:
    """Whether a layer is the last of a residual branch: only norms and scales stand between it and an addition."""
    ahead = facts.graph.users[step.index]
    for _ in range(8):
        if len(ahead) != 1:
            return False
        following = ahead[0]
        if following.op == "add" and len(set(following.sources)) > 1:
            return True
        if following.weighed or following.op in ("relu", "gelu", "silu"):
            return False
        ahead = facts.graph.users[following.index]
    return False
