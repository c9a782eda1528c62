"""Feature maps of several stages at once, for detection, segmentation and perceptual losses.

N batch, C channels, H W pixels.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, fx, nn

from .errors import OptionError, message, nearest
from .inputs import takes_pictures
from .models.base import Net
from .models.vgg import VGG
from .shapes.input_rule import InputRule
from .taps import Tap, taps, trace


class FeaturePyramid(nn.Module):
    """The part of a net up to its last tapped stage; see ``feature_pyramid``.

    Attributes:
        channels: Channels of each map, by the stage's name.
        strides: Input pixels from one pixel of the map to the next, by the stage's name; 0 for a vector.
    """

    def __init__(self, model: Net, stages: dict[str, Tap]) -> None:
        super().__init__()
        self.body = cut(model, stages)
        self.channels = {name: tap.channels for name, tap in stages.items()}
        self.strides = {name: tap.stride for name, tap in stages.items()}
        self._rule = model.rule()
        self.training = self.body.training = model.training  # not train(), which would reach the layers that are frozen

    @property
    def out_channels(self) -> int:
        """The width of the maps, which torchvision's detectors ask for.

        Raises:
            ValueError: When the maps have several widths.
        """
        widths = set(self.channels.values())
        if len(widths) > 1:
            advice = "Put torchvision.ops.FeaturePyramidNetwork on top, or take one stage."
            raise OptionError(message("feature_pyramid", "stages of one width", self.channels, advice))
        return widths.pop()

    def natural(self, x: Tensor) -> bool:
        """Whether PyTorch will compute this picture rightly or refuse it; of others the rule is asked first."""
        side = None if self._rule is None else self._rule.side
        return x.dim() == 4 and not x.is_meta and (side is None or x.shape[2:] == (side, side))

    def rule(self) -> InputRule | None:
        """What the net took when it was cut."""
        return self._rule

    @takes_pictures
    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:  # N C H W -> N C' H/s W/s by stage
        return OrderedDict(self.body(x))


def feature_pyramid(model: Net, stages: Sequence[str] | None = None) -> FeaturePyramid:
    """A module that maps pictures to the feature maps of a net's stages.

    It shares the net's layers: training one trains the other. Layers behind the last stage are left out. Where a
    stage's value would be overwritten by the layer behind it, it is copied first.

    Args:
        model: A net of the zoo.
        stages: Names out of the net's ``feature_info``, by default all of them. A VGG also answers to the paper's
            names: ``conv4_3`` is the value before its ReLU, ``relu1_2`` the one after; ``pool3``, ``fc6``, ``fc7``.

    Returns:
        The module. Its ``channels`` and ``strides`` are dicts by stage; ``out_channels`` is their common width.

    Shape:
        (N, C, H, W) -> an ordered dict of (N, channels, H / stride, W / stride); fc6 and fc7 are (N, channels).

    Raises:
        ValueError: When there is no such stage (those that there are get listed), or the model is no net of the zoo.

    >>> import torch
    >>> import smallnets as sn
    >>> pyramid = feature_pyramid(sn.resnet20(), ["layer1", "layer3"])
    >>> {name: tuple(x.shape) for name, x in pyramid(torch.zeros(1, 3, 32, 32)).items()}
    {'layer1': (1, 16, 32, 32), 'layer3': (1, 64, 8, 8)}
    >>> pyramid.channels, pyramid.strides
    ({'layer1': 16, 'layer3': 64}, {'layer1': 1, 'layer3': 4})
    """
    if not isinstance(model, Net):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("feature_pyramid", "a net of the zoo", f"a {type(model).__name__}"))
    own = {stage.name: Tap(*stage) for stage in model.feature_info}
    known = own | (taps(model) if isinstance(model, VGG) else {})
    names = list(own) if stages is None else [stages] if isinstance(stages, str) else list(stages)
    if not names:
        raise OptionError(message("feature_pyramid", "at least one stage", "none", f"There are {', '.join(known)}."))
    for name in names:
        if name not in known:
            advice = f"{nearest(name, known)} The stages are {', '.join(known)}.".strip()
            raise OptionError(message("feature_pyramid", "the name of a stage", repr(name), advice))
    return FeaturePyramid(model, {name: known[name] for name in names})


def cut(model: Net, stages: dict[str, Tap]) -> fx.GraphModule:
    """The model's graph, ending in a dict of the stages' values."""
    tracer = trace(model)
    graph = tracer.graph
    for node in list(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)
    values: dict[str, fx.Node] = {}
    for name, tap in stages.items():
        value = tracer.outputs[tap.path][-1]
        if any(overwrites(model, user, value) for user in value.users):
            with graph.inserting_after(value):
                value = graph.call_method("clone", (value,))
        values[name] = value
    graph.output(values)
    body = fx.GraphModule(model, graph, "FeaturePyramidBody")
    body.graph.eliminate_dead_code()
    body.delete_all_unused_submodules()
    body.recompile()
    return body


def overwrites(model: nn.Module, user: fx.Node, value: fx.Node) -> bool:
    """Whether the layer writes its result over the value."""
    if user.op != "call_module" or user.args[0] is not value:
        return False
    return bool(getattr(model.get_submodule(str(user.target)), "inplace", False))
