"""A net as a graph of its layers: what taps features and what folds layers into one another read the same one."""

from torch import fx, nn


class LayerTracer(fx.Tracer):
    """Follows a forward pass down to the layers without children and notes which node each module's output is.

    Attributes:
        outputs: The nodes by the path of the module that made them, in the order of the calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())

    def call_module(self, m: nn.Module, forward: object, args: object, kwargs: object) -> object:
        output = super().call_module(m, forward, args, kwargs)  # type: ignore[arg-type]  # pyright: ignore
        if isinstance(output, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(output.node)
        return output


def trace(net: nn.Module) -> LayerTracer:
    """The net's graph, as ``.graph``, and its modules' outputs."""
    tracer = LayerTracer()
    tracer.graph = tracer.trace(net)
    return tracer
