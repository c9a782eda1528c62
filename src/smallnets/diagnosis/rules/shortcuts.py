"""Residual blocks: what is added to what."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import ACTIVATIONS, INPUT, LAYOUT, NORMS, Graph, Step
from ..registry import rule
from .order import in_model

DEEP = 19  # weighed layers in a row, VGG-19's, above which a plain net without norms is not trained in practice
GATES = frozenset(("sigmoid", "_softmax", "hardsigmoid", "tanh"))
GLOBAL = frozenset(("mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax", "sum", "bmm", "_softmax"))


@dataclass(frozen=True)
class Join:
    """An addition of two branches that come from one place.

    Attributes:
        step: The addition.
        fork: The step where the branches part.
        branch: The steps of the longer branch, from the fork on.
        shortcut: The steps of the shorter one; none where it is the identity.
    """

    step: Step
    fork: int
    branch: tuple[Step, ...]
    shortcut: tuple[Step, ...]

    def weighed(self, steps: tuple[Step, ...]) -> list[Step]:
        return [step for step in steps if step.weighed]


def joins(graph: Graph) -> list[Join]:
    """Every residual addition: two branches from one fork, the shorter with at most one weighed layer."""
    found: list[Join] = []
    for step in graph.steps:
        sources = tuple(dict.fromkeys(step.sources))
        if step.op != "add" or len(sources) != 2 or step.weights:
            continue
        first, second = (graph.made_from(source) for source in sources)
        common = first & second
        fork = max(common, default=INPUT)
        sides = [
            tuple(graph.steps[index] for index in sorted(side - common) if index != INPUT) for side in (first, second)
        ]
        sides.sort(key=lambda side: (sum(one.weighed for one in side), len(side)))
        shortcut, branch = sides
        if sum(one.weighed for one in branch) > sum(one.weighed for one in shortcut) <= 1:
            found.append(Join(step, fork, branch, shortcut))
    return found


@rule(
    "broadcast-shortcut",
    "error",
    looks_for="An addition of branches of unequal shapes, which PyTorch stretches without a word.",
    faulty="Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).mean((2, 3))), branch=nn.Conv2d(3, 8, 3, "
    "padding=1), short=nn.Conv2d(3, 1, 1), fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).mean((2, 3))), branch=nn.Conv2d(3, 8, 3, "
    "padding=1), short=nn.Conv2d(3, 8, 1), fc=nn.Linear(8, 10))",
    why="One channel or one pixel is added to all: the shapes hide a missing stride, padding or channel.",
    source="NumPy's rules of broadcasting; He et al. 2016, section 3.2",
    on_purpose="A picture-wide context (from global pooling or attention) added to each place, and gates: these are "
    "left alone.",
    cheap=True,
)
def broadcast_shortcut(facts: Facts) -> Iterator[Finding]:
    """The two sides of an addition, both made from the picture, have unequal shapes."""
    graph = facts.graph
    for step in graph.named(("add",)):
        sources = tuple(dict.fromkeys(source for source in step.sources if source != INPUT))
        if len(step.sources) != 2 or step.weights or not sources or len(step.shapes) < 2:
            continue
        shapes = step.shapes[0], step.shapes[1]
        if shapes[0] == shapes[1] or min(len(shape) for shape in shapes) < 3:
            continue
        small = min((0, 1), key=lambda place: _count(shapes[place]))
        made = step.sources[small]
        wide = pooled(graph, made)
        gates = [user for user in facts.graph.users[step.index] if user.op in GATES]
        if wide or gates:
            continue
        evidence: Evidence = {"shapes": ["x".join(map(str, shape)) for shape in shapes]}
        advice = "Give both branches one shape: stride, padding and channels of the shortcut as of the branch."
        yield Finding("broadcast-shortcut", "error", step.path, evidence, advice)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def pooled(graph: Graph, index: int) -> bool:
    """Whether a picture-wide summary is close behind: through 1x1 convolutions, norms and activations."""
    near = graph.back(
        index,
        lambda one: (
            one.op not in GLOBAL and (one.op in LAYOUT or one.op in ACTIVATIONS or one.op in NORMS or one.weighed)
        ),
    )
    return any(made != INPUT and graph.steps[made].op in GLOBAL for made in near)


@rule(
    "shortcut-always-projects",
    "warning",
    looks_for="Residual blocks that all project their shortcut, also where the shapes are equal.",
    faulty="branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).flatten(1)), branch=branch, "
    "short=nn.Conv2d(3, 3, 1), fc=nn.Linear(192, 10))",
    sound="branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + x).flatten(1)), branch=branch, fc=nn.Linear(192, 10))",
    why="The identity is what carries gradients through a deep net; a projection everywhere is more weights for less.",
    source="He et al. 2016b, 'Identity mappings in deep residual networks', section 3",
    on_purpose="Option C of He et al. 2016, which they leave out as not essential.",
    cheap=True,
)
def shortcut_always_projects(facts: Facts) -> Iterator[Finding]:
    """Both sides of an addition come from one place, and the shorter has a weighed layer, though shapes are equal."""
    found = [join for join in joins(facts.graph) if is_block(join)]
    projecting = [join for join in found if join.weighed(join.shortcut)]
    equal = [join for join in projecting if join.step.shape == fork_shape(facts.graph, join)]
    if equal and len(projecting) == len(found):
        weights = sum(
            facts.model.get_parameter(name).numel()
            for join in equal
            for step in join.weighed(join.shortcut)
            for name in step.weights
            if in_model(name, facts)
        )
        evidence: Evidence = {"blocks": len(equal), "parameters": weights, "last": equal[-1].step.path}
        advice = "Project only where stride or channels change; elsewhere add the input itself (nn.Identity())."
        path = equal[0].weighed(equal[0].shortcut)[0].path
        yield Finding("shortcut-always-projects", "warning", path, evidence, advice)


def is_block(join: Join) -> bool:
    """Whether the longer branch is one: two weighed layers at least, with an activation between."""
    return len(join.weighed(join.branch)) >= 2 and any(step.op in ACTIVATIONS for step in join.branch)


def fork_shape(graph: Graph, join: Join) -> tuple[int, ...]:
    for step in (*join.shortcut, *join.branch, join.step):
        if join.fork in step.sources:
            return step.shapes[step.sources.index(join.fork)]
    return ()


@rule(
    "shortcut-rectified",
    "warning",
    looks_for="A shortcut with an activation of its own in front of the addition.",
    faulty="branch = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))\n"
    "short = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).flatten(1)), branch=branch, "
    "short=short, fc=nn.Linear(512, 10))",
    sound="branch = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))\n"
    "short = nn.Conv2d(3, 8, 1)\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).flatten(1)), branch=branch, "
    "short=short, fc=nn.Linear(512, 10))",
    why="The shortcut no longer passes what is negative, so the block cannot be near the identity.",
    source="He et al. 2016b, section 3 and table 1",
    on_purpose="",
    cheap=True,
)
def shortcut_rectified(facts: Facts) -> Iterator[Finding]:
    """The shorter side of a residual addition ends in an activation."""
    for join in joins(facts.graph):
        if not is_block(join):
            continue
        acting = [step for step in join.shortcut if step.op in ACTIVATIONS]
        if acting and join.shortcut[-1] is acting[-1]:
            advice = f"Leave the {acting[-1].op} out of the shortcut; the one behind the addition is enough."
            evidence: Evidence = {"operation": acting[-1].op, "addition": join.step.path}
            yield Finding("shortcut-rectified", "warning", acting[-1].path, evidence, advice)


@rule(
    "wide-bottleneck",
    "warning",
    looks_for="A bottleneck whose dense kxk convolution is wider than what the block takes and gives.",
    faulty="branch = nn.Sequential(nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), "
    "nn.Conv2d(32, 8, 1))\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).flatten(1)), branch=branch, "
    "short=nn.Conv2d(3, 8, 1), fc=nn.Linear(512, 10))",
    sound="branch = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), "
    "nn.Conv2d(2, 8, 1))\n"
    "net = Net(lambda s, x: s.fc(F.relu(s.branch(x) + s.short(x)).flatten(1)), branch=branch, "
    "short=nn.Conv2d(3, 8, 1), fc=nn.Linear(512, 10))",
    why="A bottleneck is there to make the 3x3 cheap; widened inside, it costs the square of the factor.",
    source="He et al. 2016, figure 5",
    on_purpose="Inverted residuals, whose wide convolution is depthwise, are left alone.",
    cheap=True,
)
def wide_bottleneck(facts: Facts) -> Iterator[Finding]:
    """Of a branch's three convolutions, the dense one in the middle is wider than what the block takes and gives."""
    for join in joins(facts.graph):
        layers = [step for step in join.weighed(join.branch) if step.op == "convolution"]
        if len(layers) != 3:
            continue
        shapes = [
            facts.model.get_parameter(step.weights[0]).shape for step in layers if in_model(step.weights[0], facts)
        ]
        if len(shapes) != 3 or any(len(shape) != 4 for shape in shapes):
            continue
        squeeze, middle, widen = shapes
        dense = layers[1].args[-1] == 1 and middle[2] * middle[3] > 1
        ones = squeeze[2] * squeeze[3] == 1 == widen[2] * widen[3]
        if dense and ones and min(middle[0], middle[1]) > max(widen[0], squeeze[1]):
            evidence: Evidence = {"block": [squeeze[1], middle[1], middle[0], widen[0]], "parameters": middle.numel()}
            advice = f"Make the 3x3 narrower than the block's {widen[0]} channels, a quarter of them in ResNet-50."
            yield Finding("wide-bottleneck", "warning", layers[1].path, evidence, advice)


@rule(
    "no-shortcut",
    "warning",
    looks_for="A deep plain net: many weighed layers in a row with neither a shortcut nor a norm.",
    faulty="layers = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()) for _ in range(24)]\n"
    "net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 10))",
    sound="layers = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()) "
    "for _ in range(24)]\n"
    "net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 10))",
    why="Plain nets of more than some twenty layers train worse than shallower ones, and without norms hardly start.",
    source="He et al. 2016, figures 1 and 4; Simonyan & Zisserman 2015, section 3.1",
    on_purpose="VGG-19, at the limit, was started from a shallower net.",
    cheap=True,
)
def no_shortcut(facts: Facts) -> Iterator[Finding]:
    """The longest row of weighed layers with neither an addition, a concatenation nor a norm is counted."""
    graph = facts.graph
    depth: dict[int, int] = {INPUT: 0}
    deepest = (0, "")
    for step in graph.steps:
        below = max(depth[source] for source in step.sources)
        joined = step.op in ("add", "cat") and len(set(step.sources)) > 1
        normed = step.op in NORMS or "norm" in step.op or step.op in ("rsqrt", "std", "var", "var_mean")
        depth[step.index] = 0 if joined or normed else below + step.weighed
        deepest = max(deepest, (depth[step.index], step.path))
    if deepest[0] > DEEP:
        advice = "Add shortcuts around pairs of layers, and a batch norm behind each convolution."
        yield Finding("no-shortcut", "warning", deepest[1], {"layers in a row": deepest[0]}, advice)
