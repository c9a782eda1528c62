"""One line of the table."""

from dataclasses import dataclass
from typing import TypeAlias

from .field import Number

Shape: TypeAlias = tuple[int, ...]
Pixels: TypeAlias = tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One call of a leaf module, or one functional call.

    Attributes:
        path: Where the module sits; of a functional call, the module that makes it.
        type: The module's class, or the function's name.
        kind: ``"module"`` or ``"function"``.
        input: Shape of what comes in, batch dimension in front; a tuple of shapes for several tensors.
        output: Shape of what goes out, likewise.
        kernel_size: Sides of the window, where there is one; likewise ``stride``, ``padding`` and ``dilation``.
        params: Parameters of its own, also where it shares them.
        macs: Multiply-accumulates.
        elementwise: Elements computed by anything else: activations, additions, norms, pools.
        activation_bytes: Bytes of its output.
        receptive_field: Sides of the input window behind one position of the output, in pixels of the first input.
        jump: Input pixels from one position to the next.
        offset: The input pixel where the first position's window starts; negative inside the padding.
    """

    path: str
    type: str
    kind: str
    input: Shape | tuple[Shape, ...]
    output: Shape | tuple[Shape, ...]
    kernel_size: Shape | None
    stride: Shape | None
    padding: Shape | str | None
    dilation: Shape | None
    params: int
    macs: int
    elementwise: int
    activation_bytes: int
    receptive_field: Pixels | None
    jump: Pixels | None
    offset: Pixels | None

    @property
    def shape(self) -> Shape:
        """Shape of the output, or of its first tensor."""
        output = self.output
        if output and isinstance(output[0], tuple):
            return output[0]
        return output  # type: ignore[return-value]
