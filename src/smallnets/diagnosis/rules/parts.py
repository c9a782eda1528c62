"""Parts: layers that the net does not own, does not use, uses twice, or that do not run."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from ...errors import first_line
from ..facts import Facts
from ..finding import Evidence, Finding, Severity
from ..graph import lays_out
from ..registry import rule


@rule(
    "does-not-run",
    "error",
    looks_for="A forward or backward pass that ends in an error.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))",
    why="Nothing is learned.",
    cheap=True,
)
def does_not_run(facts: Facts) -> Iterator[Finding]:
    """The run in eval mode, else that in training mode, raises; the innermost module that was running is the place."""
    for trace, mode in ((facts.eval, "eval"), (facts.training, "training")):
        if trace.failure is None:
            continue
        path, error = trace.failure
        layer, call = facts.modules.get(path), trace.calls.get(path)
        got = call.input if call is not None else ()
        evidence: Evidence = {"mode": mode, "error": first_line(error)[:200]}
        advice = "Mend the layer, or what comes before it."
        if isinstance(layer, nn.Linear) and got and got[-1] != layer.in_features:
            evidence |= {"wanted": layer.in_features, "given": got[-1]}
            advice = f"Make it nn.Linear({got[-1]}, {layer.out_features})."
        elif isinstance(layer, nn.Conv2d) and len(got) == 4 and got[1] != layer.in_channels:
            evidence |= {"wanted": layer.in_channels, "given": got[1]}
            advice = f"Give it {layer.in_channels} channels, or make it in_channels={got[1]}."
        elif isinstance(layer, _BatchNorm) and len(got) > 1 and got[1] != layer.num_features:
            evidence |= {"wanted": layer.num_features, "given": got[1]}
            advice = f"Make it {type(layer).__name__}({got[1]})."
        elif got:
            evidence["input"] = list(got)
        yield Finding("does-not-run", "error", path, evidence, advice)
        return
    if facts.loss_failure is not None and facts.loss_value is None and not facts.takes_logits:
        advice = "Give data= with labels that this loss takes: without it no gradient was looked at."
        yield Finding("does-not-run", "note", "", {"loss": first_line(facts.loss_failure)[:200]}, advice)


@rule(
    "unregistered-module",
    "error",
    looks_for="Layers that the net computes with but does not own: kept in a list, or made in forward.",
    faulty="net = Net(lambda s, x: s.layers[1](F.relu(s.layers[0](x))).mean((2, 3)))\n"
    "net.layers = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 10, 3)]",
    sound="net = Net(lambda s, x: s.layers[1](F.relu(s.layers[0](x))).mean((2, 3)))\n"
    "net.layers = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 10, 3)])",
    why="Their weights are in no state dict, no optimiser gets them, and they stay on the CPU.",
    source="torch.nn.ModuleList",
    on_purpose="A frozen teacher that is kept out of the state dict: set requires_grad=False.",
    cheap=True,
)
def unregistered_module(facts: Facts) -> Iterator[Finding]:
    """An operation on the pictures takes a leaf tensor with a gradient that is none of the net's parameters."""
    seen: set[str] = set()
    for trace in (facts.eval, facts.training):
        for path, shape in trace.strangers:
            if path in seen:
                continue
            seen.add(path)
            lost = [list(other) for place, other in trace.strangers if place == path]
            numbers = sum(int(torch.Size(other).numel()) for other in lost)
            advice = "Keep layers as attributes made in __init__, many of them in nn.ModuleList or nn.ModuleDict."
            evidence: Evidence = {"weights": len(lost), "numbers": numbers, "first": list(shape)}
            yield Finding("unregistered-module", "error", path, evidence, advice)


@rule(
    "unused-module",
    "warning",
    looks_for="Registered layers with weights that no computation uses.",
    faulty="Net(lambda s, x: s.fc(s.conv(x).relu().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), more=nn.Conv2d(8, 8, 3), "
    "fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(s.more(s.conv(x).relu()).relu().mean((2, 3))), conv=nn.Conv2d(3, 8, 3), "
    "more=nn.Conv2d(8, 8, 3), fc=nn.Linear(8, 10))",
    why="The net is not the one that was meant; it costs memory, and several processes refuse to train it.",
    source="torch.nn.parallel.DistributedDataParallel, find_unused_parameters",
    on_purpose="A head that only another mode uses.",
)
def unused_module(facts: Facts) -> Iterator[Finding]:
    """No operation of either run takes the parameter, or what is made of it."""
    if facts.training.failure is not None or facts.eval.failure is not None or not facts.training.graph.steps:
        return
    used = facts.training.used | facts.eval.used
    unused = {name for name, parameter in facts.model.named_parameters() if name not in used and parameter.numel()}
    told: list[str] = []
    for path, module in facts.modules.items():
        names = [f"{path}.{name}".lstrip(".") for name, parameter in module.named_parameters() if parameter.numel()]
        within = any(not above or path.startswith(f"{above}.") for above in told)
        if names and not within and all(name in unused for name in names):
            told.append(path)
            lost = sum(parameter.numel() for parameter in module.parameters())
            advice = "Call it in forward, or leave it out."
            yield Finding("unused-module", "warning", path, {"parameters": lost}, advice)
    for name in sorted(unused):
        if not any(not above or name.startswith(f"{above}.") for above in told):
            numbers = facts.model.get_parameter(name).numel()
            yield Finding(
                "unused-module", "warning", name, {"parameters": numbers}, "Use it in forward, or leave it out."
            )


@rule(
    "shared-module",
    "warning",
    looks_for="One layer with weights or running statistics that is called several times in a forward pass.",
    faulty="Net(lambda s, x: s.fc(F.relu(s.bn(s.b(F.relu(s.bn(s.a(x)))))).mean((2, 3))), a=nn.Conv2d(3, 8, 3), "
    "b=nn.Conv2d(8, 8, 3), bn=nn.BatchNorm2d(8), fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(F.relu(s.n(s.b(F.relu(s.bn(s.a(x)))))).mean((2, 3))), a=nn.Conv2d(3, 8, 3), "
    "b=nn.Conv2d(8, 8, 3), bn=nn.BatchNorm2d(8), n=nn.BatchNorm2d(8), fc=nn.Linear(8, 10))",
    why="A norm that serves two places mixes their statistics: right in training, wrong in eval mode. A convolution "
    "that serves two places has to do both jobs with one set of weights.",
    source="Ioffe & Szegedy 2015, section 3.1",
    on_purpose="Recurrent nets, heads over several maps, CoaT; a layer that several blocks were handed is a note.",
    cheap=True,
)
def shared_module(facts: Facts) -> Iterator[Finding]:
    """A module without children, but with parameters, is called more than once in a run."""
    for path, call in facts.eval.calls.items():
        module = facts.modules[path]
        leaf = next(module.children(), None) is None
        if call.count > 1 and leaf and any(True for _ in module.parameters()):
            kind = type(module).__name__
            advice = f"Make a {kind} of its own for each place."
            handed = not isinstance(module, _BatchNorm) and any(
                len(facts.eval.calls[outer].callers) > 1 for outer in around(path) if outer in facts.eval.calls
            )
            severity: Severity = "note" if handed else "warning"
            yield Finding("shared-module", severity, path, {"type": kind, "calls": call.count}, advice)


def around(path: str) -> Iterator[str]:
    """A path and those of the modules around it, the innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


@rule(
    "inplace-under-hooks",
    "error",
    looks_for="Operations in place on what a module with full backward hooks takes or gives.",
    faulty="net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, 10))\n"
    "net[0].register_full_backward_hook(lambda layer, before, behind: None)",
    sound="net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))\n"
    "net[0].register_full_backward_hook(lambda layer, before, behind: None)",
    why="PyTorch refuses it: the hook's view of the tensor must not be written into.",
    source="torch.nn.Module.register_full_backward_hook",
)
def inplace_under_hooks(facts: Facts) -> Iterator[Finding]:
    """An operation in place writes into what a module with such a hook takes or gives."""
    trace = facts.training
    calls = [(path, trace.calls[path]) for path in facts.hooked if path in trace.calls]
    for step in trace.graph.steps:
        if not step.inplace or not calls:
            continue
        written = set(trace.graph.back(step.sources[0], lays_out)) | {step.sources[0]}
        for path, call in calls:
            within = not path or step.path == path or step.path.startswith(f"{path}.")
            if (call.source if within else call.made) in written:
                advice = "Build it with inplace=False (nn.ReLU(), out = out + x)."
                evidence: Evidence = {"operation": step.op, "hook": path or "the net"}
                yield Finding("inplace-under-hooks", "error", step.path, evidence, advice)
                return
