"""What is worth knowing of an operation of ATen, looked up once."""

from collections.abc import Callable
from typing import Any

import torch

VALUE_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
# Indexing has the tag for its masks; whole numbers as indices leave the shape known.
INDEXING = frozenset(("index", "index_put", "index_put_"))
# Makes new values whatever its arguments hold; their shapes and types are all that it takes.
FILLS = frozenset(
    ("fill_", "zero_", "zero", "uniform_", "normal_", "random_", "exponential_", "empty", "full", "zeros")
)

OPS: dict[Any, "Op"] = {}


class Op:
    """An overload of ATen.

    Attributes:
        name: Without the overload: ``add`` or ``add_``.
        pointwise: Each element of the output comes from those in its place alone.
        random: Draws random numbers.
        reads_values: The shape of the output, or the output itself, depends on values.
        view: The output shares its storage with the first argument.
        reshapes: It changes the shape of its argument in place.
        writes: It writes into one of its arguments.
        independent: The output's values do not depend on its arguments' values.
    """

    __slots__ = ("_func", "independent", "name", "pointwise", "random", "reads_values", "reshapes", "view", "writes")

    def __init__(self, func: Any) -> None:
        tags, schema = set(func.tags), func._schema
        self._func = func
        self.name: str = func.overloadpacket.__name__
        self.pointwise = torch.Tag.pointwise in tags
        self.random = torch.Tag.nondeterministic_seeded in tags
        self.reads_values = bool(tags & VALUE_TAGS) and self.name not in INDEXING
        self.reshapes = torch.Tag.inplace_view in tags
        aliases = [value.alias_info for value in (*schema.arguments, *schema.returns) if value.alias_info is not None]
        self.writes = any(alias.is_write for alias in aliases)
        self.view = bool(aliases) and not self.writes
        self.independent = self.name in FILLS or self.name.endswith("_like") or self.name.startswith("new_")

    @staticmethod
    def of(func: Any) -> "Op":
        """The op of an overload."""
        return OPS.get(func) or OPS.setdefault(func, Op(func))

    def decomposition(self) -> Callable[..., Any] | None:
        """How PyTorch itself spells the op out in simpler ones, if it does."""
        from torch._decomp import decomposition_table

        return decomposition_table.get(self._func)
