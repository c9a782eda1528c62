"""What a run and a measurement say of themselves: a row an epoch, and how it was computed."""

from typing import Literal, TypedDict


class Row(TypedDict):
    """An epoch: what ``History`` holds and callbacks are given.

    Accuracies are fractions in [0, 1], losses means a sample, in nats; those of ``val`` are None without validation.
    """

    epoch: int  # from 1
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float
    seconds: float
    images_per_second: float


class PlanRecord(TypedDict, total=False):
    """How something was computed; of measuring also what was gained, and how near it is to plain fp32."""

    device: str
    precision: str
    channels_last: bool
    compile: bool | Literal["max-autotune"]
    graph: bool
    unfolded: list[str]
    batch_norms_folded: bool
    same_class_as_fp32: float  # share of the pictures that were tried
    largest_difference: float  # relative to the largest logit
    tta: str | None
    scales: list[int] | None
    plain_accuracy: float  # without the views
