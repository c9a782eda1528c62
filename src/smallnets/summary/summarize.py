"""``summarize``: run a replica once and put what was seen on a table."""

from typing import Any

from torch import Tensor, nn

from ..errors import ShapeError
from ..models.base import Net
from .explain import explain, name_of
from .inputs import InputSize, check_batch_size, check_input_size, check_signature, make_inputs
from .recorder import Record, Recorder
from .replica import Replica
from .table import Summary, Totals


def summarize(model: nn.Module, input_size: InputSize, *, batch_size: int = 1) -> Summary:
    """Every size, cost and receptive field of a net, without computing anything.

    The model is only read: the run happens on a copy that has no data, in eval mode, without hooks.

    Args:
        model: Any module that PyTorch can trace abstractly, on any device, also without weights (meta).
        input_size: Size of one picture, (C, H, W), without the batch dimension; a list of sizes for several inputs, a
            dict of sizes for inputs by name. A tensor stands for its own shape and type, batch dimension and all.
        batch_size: Pictures in a batch; costs and activation bytes are the batch's.

    Returns:
        The table. Where the model fails part-way it ends before that layer, and ``summary.failure`` says why.

    Raises:
        ShapeError: When the size cannot be one, the model cannot be copied, or it fails before its first layer.

    >>> from smallnets import convnet3, summarize
    >>> summary = summarize(convnet3(), (3, 32, 32))
    >>> summary.totals.params, summary.rows[0].output, summary.rows[0].receptive_field
    (469532, (1, 32, 32, 32), (5, 5))
    """
    check_input_size("summarize", input_size)
    check_batch_size("summarize", batch_size)
    replica = Replica(model)
    check_signature("summarize", replica.module, input_size)
    record = trace(replica, input_size, batch_size)
    failure = explain(replica, record, input_size) if record.failure else None
    if failure and isinstance(replica.module, Net) and not record.rows:
        # The net's own check has the better words, the run without it the table up to the layer that gives out.
        record = trace(unchecked(replica), input_size, batch_size)
    if failure and not record.rows:
        raise ShapeError(failure)
    return Summary(
        model=name_of(replica),
        input_size=input_size,
        batch_size=batch_size,
        rows=tuple(record.rows),
        totals=total(replica, record, input_size, batch_size),
        modules=record.modules,
        failure=failure,
        notes=tuple(misalignments(record)),
        _replica=replica,
        fields=tuple(record.fields),
        sources=tuple(record.sources),
    )


def trace(replica: Replica, input_size: Any, batch_size: int) -> Record:
    """Run the replica on abstract inputs of that size."""
    args, kwargs = make_inputs(input_size, batch_size, replica.dtype)
    return Recorder(replica).run(args, kwargs)


def unchecked(replica: Replica) -> Replica:
    """The replica of a net of the zoo without the check of its input."""

    def take(x: Tensor) -> Tensor:
        return x

    replica.module.__dict__["check"] = take
    return replica


def total(replica: Replica, record: Record, input_size: Any, batch_size: int) -> Totals:
    """The sums; a parameter or storage that is shared counts once."""
    parameters = list(replica.module.parameters())
    args, kwargs = make_inputs(input_size, batch_size, replica.dtype)
    inputs = (*args, *kwargs.values())
    params = sum(parameter.numel() for parameter in parameters)
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return Totals(
        params=params,
        trainable=trainable,
        frozen=params - trainable,
        macs=sum(row.macs for row in record.rows),
        elementwise=sum(row.elementwise for row in record.rows),
        activation_bytes=sum(record.storages.values()),
        param_bytes=sum(parameter.numel() * parameter.element_size() for parameter in parameters),
        buffer_bytes=sum(buffer.numel() * buffer.element_size() for buffer in replica.module.buffers()),
        input_bytes=sum(tensor.numel() * tensor.element_size() for tensor in inputs),
    )


def misalignments(record: Record) -> list[str]:
    """One sentence for each place where branches of different strides meet."""
    notes: list[str] = []
    aligned = True
    for row, seen in zip(record.rows, record.fields, strict=True):
        if aligned and seen is not None and not seen.aligned:
            where = f"{row.type} in {row.path or 'forward'}"
            notes.append(f"Branches of different strides meet at {where}: behind it no one receptive field fits.")
        aligned = seen is None or seen.aligned
    return notes
