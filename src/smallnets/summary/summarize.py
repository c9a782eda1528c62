"""``summarize``: run a replica once and put what was seen on a table."""

from functools import partial

from torch import nn

from ..errors import ShapeError, message
from .explain import explain, name_of
from .inputs import (
    Call,
    InputSize,
    call_of_inputs,
    call_of_sizes,
    check_batch_size,
    check_input_size,
    check_signature,
    make_inputs,
)
from .memory import saved_bytes
from .record import Record
from .recorder import Recorder
from .replica import Replica
from .summary import Summary
from .table import Totals


def summarize(
    model: nn.Module, input_size: InputSize | None = None, *, batch_size: int = 1, inputs: object = None
) -> Summary:
    """Every size, cost and receptive field of a net, without computing anything.

    The model is only read: the run happens on a copy that has no data, in eval mode, without hooks.

    Args:
        model: Any module that PyTorch can trace abstractly, on any device, also without weights (meta).
        input_size: Size of one picture, (C, H, W), without the batch dimension; a list of sizes for several inputs, a
            dict of sizes for inputs by name. A tensor stands for its own shape and type, batch dimension and all.
        batch_size: Pictures in a batch; costs and activation bytes are the batch's.
        inputs: Instead of ``input_size``, what the model is called with, of any structure: a tuple or list of the
            arguments in order, a dict of those by name, or the one argument. A tensor stands for its shape and type,
            a pair like ``((128,), torch.int64)`` for a batch of that size; all else is handed on as it is.

    Returns:
        The table. Where the model fails part-way it ends before that layer, and ``summary.failure`` says why.
        ``summary.notes`` names what could not be counted or followed.

    Raises:
        ShapeError: When the size cannot be one, the model cannot be copied, or it fails before its first layer.

    >>> from smallnets import convnet3, summarize
    >>> summary = summarize(convnet3(), (3, 32, 32))
    >>> summary.totals.params, summary.rows[0].output, summary.rows[0].receptive_field
    (469532, (1, 32, 32, 32), (5, 5))
    """
    check_batch_size("summarize", batch_size)
    if (input_size is None) == (inputs is None):
        raise ShapeError(
            message("summarize", "one of input_size and inputs", "both" if inputs is not None else "neither")
        )
    if inputs is None:
        check_input_size("summarize", input_size)
    replica = Replica(model)
    if inputs is None:
        call = call_of_sizes(input_size)
        check_signature("summarize", replica.module, call)
    else:
        call = call_of_inputs("summarize", replica.module, inputs)
    record = trace(replica, call, batch_size)
    failure = explain(replica, record, input_size) if record.failure else None
    if failure and not record.rows:
        raise ShapeError(failure)
    return Summary(
        model=name_of(replica),
        input_size=record.inputs[0][1:] if input_size is None else input_size,
        batch_size=batch_size,
        rows=tuple(record.rows),
        totals=total(replica, record),
        modules=record.modules,
        failure=failure,
        notes=(*misalignments(record), *gaps(record), *recurrent(replica, record)),
        input_shape=next((shape for shape in record.inputs if len(shape) > 2), record.inputs[0]),
        _memory=partial(saved_bytes, replica, call),
        fields=tuple(record.fields),
        sources=tuple(record.sources),
    )


def trace(replica: Replica, call: Call, batch_size: int) -> Record:
    """Run the replica on abstract inputs."""
    return Recorder(replica).run(*make_inputs(call, batch_size, replica.dtype))


def total(replica: Replica, record: Record) -> Totals:
    """The sums; a parameter or storage that is shared counts once."""
    parameters = list(replica.module.parameters())
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
        input_bytes=record.input_bytes,
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


def gaps(record: Record) -> list[str]:
    """One sentence for each op whose field was not followed, or whose cost is not counted."""
    notes: list[str] = []
    for found, words in (
        (record.unfollowed, "The receptive field is not followed through {}: behind it the whole input is taken."),
        (record.uncounted, "The cost of {} is not known and counts as 0 MACs."),
    ):
        places: dict[str, list[str]] = {}
        for path, op in found:
            places.setdefault(op, []).append(path or "forward")
        for op, paths in places.items():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            notes.append(words.format(f"{op} in {paths[0]}{more}"))
    return notes


def recurrent(replica: Replica, record: Record) -> list[str]:
    """A sentence on what training a recurrent layer keeps, where its kernel alone knows."""
    layers = {path: layer for path, layer in replica.module.named_modules() if isinstance(layer, nn.RNNBase)}
    both = {path for path, layer in layers.items() if layer.mode == "LSTM" or layer.bidirectional}
    whole = [row.path for row in record.rows if row.path in both]
    words = "training_memory counts {} step by step; the kernels for whole sequences keep more, in a form of their own."
    return [words.format(" and ".join(path or "the layer" for path in dict.fromkeys(whole)))] if whole else []
