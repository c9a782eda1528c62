"""Whether pictures stay apart, and whether eval mode gives one answer."""

from collections.abc import Iterator

from ..facts import Facts
from ..finding import Evidence, Finding
from ..graph import BATCH_NORMS, Step
from ..registry import rule
from ..trace import Trace, outputs_of

SAME = 1e-4  # relative difference that rounding alone may make


@rule(
    "mixes-samples",
    "error",
    looks_for="Eval-mode logits of one picture that change with the other pictures of the batch.",
    faulty="Net(lambda s, x: s.fc(s.conv(x).relu().permute(1, 0, 2, 3).reshape(len(x), -1)), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(288, 10))",
    sound="Net(lambda s, x: s.fc(s.conv(x).relu().permute(0, 2, 3, 1).reshape(len(x), -1)), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(288, 10))",
    why="Labels no longer belong to rows, or predictions depend on who else is in the batch.",
    source="Karpathy 2019: 'use backprop to chart dependencies'",
    on_purpose="Contrastive heads that compare the pictures of a batch.",
)
def mixes_samples(facts: Facts) -> Iterator[Finding]:
    """With another first picture, the logits of the others change; the first operation where they do is the place."""
    if facts.changed is None or len(facts.images) < 2 or facts.logits is None:
        return
    count = len(facts.images)
    if facts.logits.dim() < 1 or len(facts.logits) != count:
        return
    other = outputs_of(facts.changed.returned, count)[0]
    change = (other[1:] - facts.logits[1:]).abs().max().item()
    size = facts.logits.abs().max().item()
    if not change > SAME * max(size, 1e-12):
        return
    place = first_difference(facts.eval, facts.changed, skip=1)
    path, operation = (place.path, place.op) if place is not None else ("", "")
    evidence: Evidence = {"change": change, "size": size, "operation": operation}
    advice = "Keep the batch the first dimension everywhere: permute(0, ...), flatten(1)."
    if operation in BATCH_NORMS:
        advice = (
            "Let the norm use its running statistics: module.eval(), track_running_stats=True, training=self.training."
        )
    yield Finding("mixes-samples", "error", path, evidence, advice)


@rule(
    "random-in-eval",
    "error",
    looks_for="Eval-mode logits that differ from run to run.",
    faulty="Net(lambda s, x: s.fc(F.dropout(s.conv(x).relu().mean((2, 3)), 0.5)), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(8, 10))",
    sound="Net(lambda s, x: s.fc(F.dropout(s.conv(x).relu().mean((2, 3)), 0.5, s.training)), conv=nn.Conv2d(3, 8, 3), "
    "fc=nn.Linear(8, 10))",
    why="F.dropout is on unless it is told that the net is not training: every measurement is noise.",
    source="torch.nn.functional.dropout: training=True",
    on_purpose="Monte Carlo dropout (Gal & Ghahramani 2016).",
)
def random_in_eval(facts: Facts) -> Iterator[Finding]:
    """Where a run in eval mode drew random numbers, a second with others gives other logits."""
    if facts.again is None or facts.logits is None:
        return
    again = outputs_of(facts.again.returned, len(facts.images))
    if not again or again[0].shape != facts.logits.shape:
        return
    change = (again[0] - facts.logits).abs().max().item()
    if change > SAME * max(facts.logits.abs().max().item(), 1e-12):
        place = first_difference(facts.eval, facts.again, skip=0)
        advice = "Pass self.training on: F.dropout(x, p, self.training), or use nn.Dropout."
        path, operation = (place.path, place.op) if place is not None else ("", "")
        yield Finding("random-in-eval", "error", path, {"change": change, "operation": operation}, advice)


def first_difference(one: Trace, other: Trace, skip: int) -> Step | None:
    """The first step whose samples, from number ``skip`` on, came out otherwise."""
    for step, twin in zip(one.graph.steps, other.graph.steps, strict=False):
        if step.op != twin.op or len(step.sums) != len(twin.sums):
            continue
        scale = max((abs(number) for number in step.sums), default=0.0)
        pairs = zip(step.sums[skip:], twin.sums[skip:], strict=True)
        if any(abs(a - b) > SAME * max(scale, 1e-12) for a, b in pairs):
            return step
    return None
