"""The caller's pictures and labels."""

from collections.abc import Callable, Iterator

from ..facts import Facts
from ..finding import Evidence, Finding, Severity
from ..registry import Look, rule

LABELS = "torch.arange(16) % 10"
SOUND = f"data = (torch.randn(16, 3, 8, 8), {LABELS})"


def data_rule(
    name: str, severity: Severity, looks_for: str, faulty: str, why: str, on_purpose: str = "", cheap: bool = True
) -> Callable[[Look], Look]:
    """A rule that looks at pictures and labels."""
    return rule(
        name,
        severity,
        looks_for=looks_for,
        faulty=f"data = ({faulty})",
        sound=SOUND,
        why=why,
        on_purpose=on_purpose,
        needs_data=True,
        cheap=cheap,
    )


@data_rule(
    "not-normalised",
    "warning",
    "Pictures whose numbers are not about 0 with a spread of about 1.",
    f"torch.rand(16, 3, 8, 8), {LABELS}",
    "The first layer's weights are drawn for such numbers; others slow the start or need another rate.",
    "Nets that normalise inside.",
    cheap=False,
)
def not_normalised(facts: Facts) -> Iterator[Finding]:
    """Mean and standard deviation of a few pictures."""
    if not facts.given or facts.images.dim() < 2 or too_large(facts):
        return
    mean, std = float(facts.images.mean()), float(facts.images.std())
    in_unit = bool((facts.images >= 0).all()) and float(facts.images.max()) <= 1
    if in_unit or abs(mean) > 1.5 * max(std, 1e-6) or not 0.1 < std < 5:
        advice = "Subtract the training set's mean and divide by its std, a channel at a time."
        yield Finding("not-normalised", "warning", "", {"mean": mean, "std": std}, advice)


def too_large(facts: Facts) -> bool:
    return float(facts.images.abs().max()) > 10 and bool((facts.images >= 0).all())


@data_rule(
    "range-0-255",
    "error",
    "Float pictures that still run from 0 to 255.",
    f"torch.rand(16, 3, 8, 8) * 255, {LABELS}",
    "The first activations are a hundred times too large, and the first steps throw the weights away.",
)
def range_0_255(facts: Facts) -> Iterator[Finding]:
    """Floats, none below 0, some above 10."""
    if facts.given and too_large(facts):
        evidence: Evidence = {"least": float(facts.images.min()), "largest": float(facts.images.max())}
        advice = "Divide by 255, then normalise; or give uint8 pictures, which fit divides."
        yield Finding("range-0-255", "error", "", evidence, advice)


@data_rule(
    "constant-channel",
    "warning",
    "A channel with one value in all pictures.",
    f"torch.randn(16, 3, 8, 8) * torch.tensor([1, 1, 0]).view(3, 1, 1), {LABELS}",
    "It says nothing, and dividing by its spread of 0 gives no number.",
    cheap=False,
)
def constant_channel(facts: Facts) -> Iterator[Finding]:
    """The least and the largest value of each channel are equal."""
    if not facts.given or facts.images.dim() != 4:
        return
    spread = facts.images.amax((0, 2, 3)) - facts.images.amin((0, 2, 3))
    constant = [channel for channel, width in enumerate(spread.tolist()) if width == 0]
    if constant:
        evidence: Evidence = {"channels": constant, "of": facts.images.shape[1]}
        yield Finding("constant-channel", "warning", "", evidence, "Look at how the pictures were read.")


@data_rule(
    "labels-outside",
    "error",
    "Labels below 0 or beyond the last logit.",
    f"torch.randn(16, 3, 8, 8), 1 + {LABELS}",
    "Cross entropy indexes with them: an error on a CPU, an assertion that ends the process on a GPU.",
)
def labels_outside(facts: Facts) -> Iterator[Finding]:
    """The least and the largest label, against the number of logits."""
    logits = facts.logits
    classes = logits.shape[1] if logits is not None and logits.dim() == 2 else facts.num_classes
    if not facts.given or classes is None:
        return
    labels = facts.labels if facts.all_labels is None else facts.all_labels
    least, largest = int(labels.min()), int(labels.max())
    if least < 0 or largest >= classes:
        evidence: Evidence = {"least": least, "largest": largest, "classes": classes}
        advice = "Number the classes from 0, and give the net a logit for each."
        yield Finding("labels-outside", "error", "", evidence, advice)


@data_rule(
    "one-class",
    "warning",
    "A whole batch, or set, of a single class.",
    "torch.randn(16, 3, 8, 8), torch.zeros(16, dtype=torch.long)",
    "The net learns the class, not the picture: shuffle, or look at how labels were made.",
    "Anomaly detection.",
    cheap=False,
)
def one_class(facts: Facts) -> Iterator[Finding]:
    """The least and the largest label are equal."""
    labels = facts.all_labels if facts.all_labels is not None else facts.labels
    if facts.given and len(labels) > 7 and int(labels.min()) == int(labels.max()):
        evidence: Evidence = {"class": int(labels[0]), "labels": len(labels)}
        yield Finding("one-class", "warning", "", evidence, "Shuffle the set, and look at how labels were made.")


@data_rule(
    "channel-order",
    "error",
    "Pictures of (N, H, W, C), where PyTorch takes (N, C, H, W).",
    f"torch.randn(16, 8, 8, 3), {LABELS}",
    "Rows are taken for channels: it fails, or, worse, runs.",
)
def channel_order(facts: Facts) -> Iterator[Finding]:
    """The last dimension is 1, 3 or 4, and the second is not."""
    shape = tuple(facts.images.shape)
    if facts.given and len(shape) == 4 and shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
        advice = "Permute them: images.permute(0, 3, 1, 2)."
        yield Finding("channel-order", "error", "", {"shape": list(shape)}, advice)
