"""The layer table of the older tools, for people who know it by heart."""

import math
from collections.abc import Iterator

from .row import Row
from .table import Table

MEGABYTE = 1024**2
NUMBER = 4  # bytes of a float, whatever the model's type: so the older tools count


def classic(summary: Table) -> str:
    """Layer and number, output shape with -1 for the batch, parameters; totals; megabytes.

    Modules alone count; forward and backward are taken as twice the outputs, one float a number.
    """
    rows = [row for row in summary.rows if row.kind == "module"]
    double, single = "=" * 64, "-" * 64
    totals = summary.totals
    outputs = sum(math.prod(row.shape) for row in rows) // summary.batch_size
    inputs = totals.input_bytes / MEGABYTE / summary.batch_size
    activations = 2 * outputs * NUMBER / MEGABYTE
    params = totals.params * NUMBER / MEGABYTE
    lines = [
        single,
        f"{'Layer (type)':>20}  {'Output Shape':>25} {'Param #':>15}",
        double,
        *layers(rows),
        double,
        f"Total params: {totals.params:,}",
        f"Trainable params: {totals.trainable:,}",
        f"Non-trainable params: {totals.frozen:,}",
        single,
        f"Input size (MB): {inputs:.2f}",
        f"Forward/backward pass size (MB): {activations:.2f}",
        f"Params size (MB): {params:.2f}",
        f"Estimated Total Size (MB): {inputs + activations + params:.2f}",
        single,
    ]
    return "\n".join(lines + ([summary.failure] if summary.failure else []))


def layers(rows: list[Row]) -> Iterator[str]:
    for number, row in enumerate(rows, start=1):
        shape = str([-1, *row.shape[1:]])
        yield f"{f'{row.type}-{number}':>20}  {shape:>25} {row.params:>15,}"
