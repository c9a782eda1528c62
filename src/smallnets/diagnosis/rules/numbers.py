"""Sizes of activations, gradients and the first loss."""

import math
from collections.abc import Iterator

from torch import nn

from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import ACTIVATIONS, NORMS, Step
from ..registry import rule
from ..trace import root_mean_square

VANISHED = 1e-4  # share of an activation that still differs between pictures
EXPLODED = 1e3  # times larger than what came in
DEAD = 0.6  # share of channels that are zero for every picture
FEW = 64  # numbers a channel needs for "zero everywhere" to mean something
FAR = 2.0  # times ln K from which the first loss is far


def layers(facts: Facts) -> list[Step]:
    """The weighed layers in order, each with the numbers that were seen there."""
    return [step for step in facts.start.steps if step.weighed and step.spread is not None]


@rule(
    "vanishing",
    "error",
    looks_for="Activations in which pictures can no longer be told apart, and gradients that die on the way back.",
    faulty="layers = [nn.Sequential(nn.Linear(192, 192), nn.Sigmoid()) for _ in range(10)]\n"
    "net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(192, 10))",
    sound="layers = [nn.Sequential(nn.Linear(192, 192, bias=False), nn.BatchNorm1d(192), nn.ReLU()) for _ in "
    "range(10)]\n"
    "net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(192, 10))",
    why="The logits hardly depend on the picture, so the loss stays at ln K: the net is at chance.",
    source="Glorot & Bengio 2010; He et al. 2015, section 2.2 and figure 3",
    on_purpose="",
)
def vanishing(facts: Facts) -> Iterator[Finding]:
    """Layer by layer, the share of an activation that differs between pictures, and the gradient over the weight."""
    steps = layers(facts)
    if len(steps) < 3 or facts.eval.failure is not None:
        return
    logits = facts.logits
    if logits is None or logits.dim() != 2:
        return
    seen = [
        (step, step.spread / step.size)
        for step in steps
        if step.size > 0 and step.spread is not None and not all_zero(step, facts)
    ]
    if not seen:
        return
    if any(held_small(step, facts) for step in facts.start.named(("mul",))):
        return
    first, last = seen[0][1], seen[-1][1]
    if first > 0 and last < VANISHED and last < first / 100:
        step = next(step for step, share in seen if share < VANISHED)
        evidence: Evidence = {"differs_between_pictures": last, "in_first_layer": first, "layers": len(steps)}
        advice = "Draw weights for the activation (kaiming_normal_ for ReLU), add batch norms, or shortcuts."
        yield Finding("vanishing", "error", step.path, evidence, advice)
        return
    back = gradient_ratio(facts, steps)
    if back is not None and back[0] < 1e-6:
        evidence = {"gradient_first_over_last": back[0], "layers": len(steps)}
        advice = "Draw weights for the activation (kaiming_normal_ for ReLU), add batch norms, or shortcuts."
        yield Finding("vanishing", "error", back[1], evidence, advice)


def all_zero(step: Step, facts: Facts) -> bool:
    """Whether a layer starts at 0, as a last one may: it opens with the first step."""
    weights = [facts.model.get_parameter(name) for name in step.weights]
    return not any(bool(weight.any()) for weight in weights if weight.dim() > 1)


def held_small(step: Step, facts: Facts) -> bool:
    """Whether it is a trained scale that starts near 0, as in LayerScale: it opens with the first steps."""
    return any(float(facts.model.get_parameter(name).detach().abs().max()) < 1e-3 for name in step.weights)


def gradient_ratio(facts: Facts, steps: list[Step]) -> tuple[float, str] | None:
    """Relative gradient of the first weighed layer over the last's, and the path of the first."""
    shares: list[tuple[float, str]] = []
    for step in steps:
        name = next((name for name in step.weights if name in facts.gradients and name.endswith("weight")), None)
        if name is None:
            continue
        size = root_mean_square(facts.model.get_parameter(name))
        if size > 0 and facts.gradients[name] > 0:
            shares.append((facts.gradients[name] / size, step.path))
    if len(shares) < 3:
        return None
    return shares[0][0] / shares[-1][0], shares[0][1]


@rule(
    "exploding",
    "error",
    looks_for="Activations or gradients that grow from layer to layer until they overflow or drown the first step.",
    faulty="layers = [nn.Sequential(nn.Linear(192, 192), nn.ReLU()) for _ in range(4)]\n"
    "for layer, _ in layers:\n"
    "    nn.init.normal_(layer.weight)\n"
    "net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(192, 10))",
    sound="layers = [nn.Sequential(nn.Linear(192, 192), nn.ReLU()) for _ in range(4)]\n"
    "for layer, _ in layers:\n"
    "    nn.init.kaiming_normal_(layer.weight)\n"
    "net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(192, 10))",
    why="The first steps throw the weights far away, or the loss is no number.",
    source="He et al. 2015, section 2.2",
    on_purpose="",
)
def exploding(facts: Facts) -> Iterator[Finding]:
    """The size of the last layer's output over the picture's, the first gradient over the last, and any infinity."""
    given = root_mean_square(facts.images)
    for step in facts.start.steps:
        if not math.isfinite(step.size):
            evidence: Evidence = {"size": step.size}
            yield Finding("exploding", "error", step.path, evidence, "Draw smaller weights, or normalise in between.")
            return
    steps = layers(facts)
    if not steps or not given:
        return
    last = steps[-1]
    if last.size > EXPLODED * max(given, 1.0):
        step = next(step for step in steps if step.size > EXPLODED**0.5 * max(given, 1.0))
        evidence = {"logits": last.size, "picture": given, "layers": len(steps)}
        advice = "Draw weights for the activation (kaiming_normal_), or add norms."
        yield Finding("exploding", "error", step.path, evidence, advice)
        return
    back = gradient_ratio(facts, steps)
    if back is not None and back[0] > 1e5:
        yield Finding(
            "exploding", "error", back[1], {"gradient_first_over_last": back[0]}, "Normalise, or clip the gradient."
        )  # fmt: skip


@rule(
    "dead-units",
    "warning",
    looks_for="Activations of which most channels are zero for every picture.",
    faulty="net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1152, 10))\n"
    "nn.init.constant_(net[0].bias, -9.0)",
    sound="net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1152, 10))\n"
    "nn.init.constant_(net[0].bias, 0.0)",
    why="A rectified unit that is zero everywhere gets no gradient and stays so.",
    source="Maas, Hannun & Ng 2013, section 2",
    on_purpose="",
)
def dead_units(facts: Facts) -> Iterator[Finding]:
    """Behind an activation, channels that are 0 for every picture and place are counted."""
    for step in facts.graph.steps:
        if step.op not in ACTIVATIONS or step.spread is None or len(step.shape) < 2:
            continue
        numbers = math.prod(step.shape) // step.shape[1]
        least = DEAD if numbers >= FEW else 0.95
        if step.shape[1] >= 4 and step.idle >= least:
            evidence: Evidence = {"share": step.idle, "channels": step.shape[1]}
            advice = "Draw biases at or above 0, lower the rate, or look at the layer in front of it."
            yield Finding("dead-units", "warning", step.path, evidence, advice)
            return


@rule(
    "initial-loss",
    "warning",
    looks_for="A first loss far above ln K, the loss of a net that knows nothing.",
    faulty="net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))\nnn.init.normal_(net[1].weight)",
    sound="net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))\nnn.init.normal_(net[1].weight, std=0.01)",
    why="The first epochs go into unlearning confident guesses.",
    source="Karpathy 2019, 'A recipe for training neural networks'",
    on_purpose="Trained weights on new classes: reset the last layer.",
)
def initial_loss(facts: Facts) -> Iterator[Finding]:
    """The loss of the first forward pass in training mode is compared with ln K."""
    logits, value = facts.logits, facts.loss_value
    if value is None or logits is None or logits.dim() != 2 or logits.shape[1] < 2 or facts.training.failure:
        return
    expected = math.log(logits.shape[1])
    if not math.isfinite(value) or value > FAR * expected + 2:
        last = next((step for step in reversed(facts.graph.steps) if step.weighed), None)
        evidence: Evidence = {"loss": value, "ln K": expected}
        advice = "Draw the last layer smaller (its logits should start within about 1 of 0)."
        yield Finding("initial-loss", "warning", last.path if last else "", evidence, advice)


@rule(
    "norm-of-one-value",
    "error",
    looks_for="A norm over a single value, which leaves nothing of it; batch norm over one pixel a picture.",
    faulty="nn.Sequential(nn.Conv2d(3, 8, 8), nn.GroupNorm(8, 8), nn.Flatten(), nn.Linear(8, 10))",
    sound="nn.Sequential(nn.Conv2d(3, 8, 8), nn.GroupNorm(1, 8), nn.Flatten(), nn.Linear(8, 10))",
    why="A value less its own mean is 0: the output is the norm's bias whatever the picture. Batch norm over 1x1 maps "
    "fails in training where a batch has a single sample.",
    source="Wu & He 2018; torch.nn.BatchNorm2d",
    on_purpose="Batch norm over 1x1 maps is fine with batches of two and more (a note).",
    cheap=True,
)
def norm_of_one_value(facts: Facts) -> Iterator[Finding]:
    """The number of values that a norm averages over is 1."""
    for step in facts.graph.named(("native_group_norm", "native_layer_norm")):
        if step.op == "native_group_norm":  # N, C, H W, groups, epsilon
            _, channels, pixels, groups = (value for value in step.args if type(value) is int)
            lone = channels // groups * pixels
        else:
            lone = math.prod(step.args[0])
        if lone == 1:
            advice = "Normalise over more: fewer groups, or a norm before the pool."
            evidence: Evidence = {"norm": step.op.removeprefix("native_"), "input": list(step.shape)}
            yield Finding("norm-of-one-value", "error", step.path, evidence, advice)
    for path, call in facts.eval.calls.items():
        kinds = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
        if isinstance(facts.modules[path], kinds) and len(call.input) > 2 and math.prod(call.input[2:]) == 1:
            evidence = {"norm": type(facts.modules[path]).__name__, "input": list(call.input)}
            yield Finding("norm-of-one-value", "error", path, evidence, "Normalise where a map has more than a pixel.")
    for step in facts.graph.named(NORMS - {"native_group_norm"}):
        if step.shape and math.prod(step.shape) == step.shape[0] * step.shape[1] and len(step.shape) > 1:
            advice = "Train with batches of at least two; fit merges a last batch of one."
            evidence = {"map": list(step.shape[2:])}
            yield Finding("norm-of-one-value", "note", step.path, evidence, advice)
            return
