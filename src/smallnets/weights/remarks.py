"""What is odd about weights that fit: numbers that are none, and bottlenecks of the other version."""

from collections.abc import Mapping

from torch import Tensor, nn

from ..warn import warn
from .sources import Checkpoint


def warn_of_no_numbers(checkpoint: Checkpoint, values: Mapping[str, Tensor]) -> None:
    """NaN or infinity in what was loaded; a net with one of them answers NaN to everything."""
    # A sum is several times quicker than looking at each number, and is finite only if all are.
    odd = [name for name, value in values.items() if not value.is_meta and not value.sum().isfinite()]
    odd = [name for name in odd if not values[name].isfinite().all()]
    if odd:
        count = f"{len(odd)} entries of {checkpoint.name}, first {odd[0]}"
        warn(f"load_weights: NaN or infinity in {count}. Its training had failed, or the file was damaged.")


def warn_of_other_stride(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Bottlenecks with the stride in the 1x1 or in the 3x3 have equal names and shapes, and other outputs."""
    layers = dict(model.named_modules())
    strided = {
        name.rpartition(".")[2]
        for name, layer in layers.items()
        if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1) and f"{name.rpartition('.')[0]}.conv3" in layers
    }
    own = {"conv1": "1x1", "conv2": "3x3"}.get(next(iter(strided), ""))
    if own and checkpoint.stride_in not in (None, own):
        warn(
            f"load_weights: {checkpoint.name} was trained with the stride in the {checkpoint.stride_in} convolution "
            f"and this net has it in the {own}: the weights fit but the net does worse. "
            f'Build it with stride_in="{checkpoint.stride_in}".'
        )
