"""Feature maps of several stages at once, for detection, segmentation and perceptual losses.

N batch, C channels, H W pixels.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from .cut import cut, outputs_of
from .errors import OptionError, ShapeError, check_ints, message, nearest
from .inputs import takes_pictures
from .models.base import Net
from .models.vgg import VGG
from .shapes.input_rule import InputRule
from .summary import Summary, summarize
from .summary.receptive import is_feature_map
from .summary.search import channels_of
from .taps import Tap, check_module, taps


class FeaturePyramid(nn.Module):
    """The part of a net up to its last tapped stage; see ``feature_pyramid``.

    Attributes:
        channels: Channels of each map, by the stage's name.
        strides: Input pixels from one pixel of the map to the next, by the stage's name; 0 for a vector.
    """

    def __init__(self, model: nn.Module, stages: dict[str, Tap]) -> None:
        super().__init__()
        paths = {name: tap.path for name, tap in stages.items()}
        self.body, self._watch = cut(model, paths, partial(picture_size, model))
        self.channels = {name: tap.channels for name, tap in stages.items()}
        self.strides = {name: tap.stride for name, tap in stages.items()}
        self._rule = model.input_rule() if isinstance(model, Net) else None
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

    def is_natural(self, x: Tensor) -> bool:
        """Whether what PyTorch computes of this picture is right, at a glance; of others the rule is asked."""
        side = None if self._rule is None else self._rule.side
        return x.dim() == 4 and not x.is_meta and (side is None or x.shape[2:] == (side, side))

    def input_rule(self) -> InputRule | None:
        """What the net took when it was cut."""
        return self._rule

    @takes_pictures
    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:  # N C H W -> N C' H/s W/s by stage
        return OrderedDict(self.body(x) if self._watch is None else self._watch(self.body, x))


def feature_pyramid(
    model: nn.Module,
    stages: Sequence[str | int] | str | None = None,
    *,
    strides: Sequence[int] | None = None,
    names: Mapping[str, str] | None = None,
) -> FeaturePyramid:
    """A module that maps pictures to the feature maps of a net's stages.

    It shares the net's layers: training one trains the other. Layers behind the last stage are left out. Where a
    stage's value would be overwritten by what comes behind it, it is copied first. A net that ``torch.fx`` cannot
    trace runs as it is, watched at its layers, as far as the last stage; its maps are copies.

    Args:
        model: A net of the zoo, or any other over pictures, such as torchvision's and timm's.
        stages: Names out of the net's ``feature_info``, or of another net's layers; or indices into its stages. By
            default all stages; those of a net that does not say are its last map at each stride. A VGG also answers
            to the paper's names: ``conv4_3`` is the value before its ReLU, ``relu1_2`` the one after; ``pool3``,
            ``fc6``, ``fc7``.
        strides: Instead of ``stages``, input pixels from one pixel of a map to the next: the last map of each.
        names: What the maps are called in the result, by stage: ``{"layer4": "out"}``, as torchvision's DeepLab
            has it. Without ``stages`` these are the stages.

    Returns:
        The module. Its ``channels`` and ``strides`` are dicts by stage; ``out_channels`` is their common width.

    Shape:
        (N, C, H, W) -> an ordered dict of (N, channels, H / stride, W / stride); fc6 and fc7 are (N, channels).

    Raises:
        ValueError: When there is no such stage (those that there are get listed), or the net's layers make no maps.

    >>> import torch
    >>> import smallnets as sn
    >>> pyramid = feature_pyramid(sn.resnet20(), ["layer1", "layer3"])
    >>> {name: tuple(x.shape) for name, x in pyramid(torch.zeros(1, 3, 32, 32)).items()}
    {'layer1': (1, 16, 32, 32), 'layer3': (1, 64, 8, 8)}
    >>> pyramid.channels, pyramid.strides
    ({'layer1': 16, 'layer3': 64}, {'layer1': 1, 'layer3': 4})
    """
    check_module("feature_pyramid", model)
    if strides is not None:
        check_ints("feature_pyramid", "strides", "stride", strides)
    for option, given, kind in (("stages", stages, Iterable), ("names", names, Mapping)):
        numbers = isinstance(given, Tensor)  # one can be gone through, too, or says that it can
        if given is not None and (numbers or not isinstance(given, kind)):  # pyright: ignore[reportUnnecessaryIsInstance]
            wanted = "an iterable of names" if kind is Iterable else "a mapping"
            raise OptionError(message("feature_pyramid", f"{option} to be {wanted}", repr(given)))
    own, known = known_stages(model)
    if strides is not None:
        if stages is not None:
            raise OptionError(message("feature_pyramid", "stages or strides", "both"))
        stages = [at_stride(own, stride) for stride in strides]
    elif stages is None:
        stages = list(own if names is None else names)
    chosen = [stages] if isinstance(stages, str) else list(stages)
    if not chosen:
        raise OptionError(message("feature_pyramid", "at least one stage", "none", f"There are {', '.join(own)}."))
    found = dict.fromkeys(named(stage, own, known) for stage in chosen)
    for name in names or ():
        if name not in found:
            raise OptionError(message("feature_pyramid", "names of the stages", repr(name), stages_are(found)))
    renamed = {(names or {}).get(name, name): known[name] for name in found}
    if len(renamed) < len(found):
        raise OptionError(message("feature_pyramid", "a name of its own for each stage", repr(dict(names or {}))))
    return FeaturePyramid(model, renamed)


def known_stages(model: nn.Module) -> tuple[dict[str, Tap], dict[str, Tap]]:
    """The stages of a net, and all names that its layers answer to."""
    if isinstance(model, Net):
        own = {stage.name: Tap(*stage) for stage in model.feature_info}
        return own, own | (taps(model) if isinstance(model, VGG) else {})
    size, summary = summary_of(model)
    layers = measured(model, summary, outputs_of(model, size))
    last = {tap.stride: name for name, tap in layers.items() if tap.stride > 1}
    return {name: layers[name] for name in layers if name in last.values()}, layers


def named(stage: str | int, own: dict[str, Tap], known: dict[str, Tap]) -> str:
    """The name of a stage that is given by name or by index."""
    if isinstance(stage, int) and not isinstance(stage, bool):
        if not -len(own) <= stage < len(own):
            raise OptionError(message("feature_pyramid", f"an index below {len(own)}", stage, stages_are(own)))
        return list(own)[stage]
    if not isinstance(stage, str) or stage not in known:  # pyright: ignore[reportUnnecessaryIsInstance]
        advice = f"{nearest(stage, known)} {stages_are(own)}".strip()
        raise OptionError(message("feature_pyramid", "the name of a stage", repr(stage), advice))
    return stage


def at_stride(own: dict[str, Tap], stride: int) -> str:
    """The last stage of a stride."""
    found = [name for name, tap in own.items() if tap.stride == stride]
    if not found:
        known = ", ".join(str(value) for value in sorted({tap.stride for tap in own.values()}))
        raise OptionError(message("feature_pyramid", f"one of the strides {known}", repr(stride)))
    return found[-1]


def stages_are(own: Iterable[str]) -> str:
    return f"The stages are {', '.join(own)}."


def measured(model: nn.Module, summary: Summary, outputs: Iterable[str]) -> dict[str, Tap]:
    """The layers of a net whose outputs are maps, the outermost name of each, with channels and strides."""
    found: dict[int, str] = {}
    inner: dict[str, int] = {}
    for path in outputs:
        rows = [index for index, row in enumerate(summary.rows) if row.path == path or row.path.startswith(path + ".")]
        if not rows or not is_feature_map(summary.rows[rows[-1]], summary.fields[rows[-1]]):
            continue
        inner[path] = rows[-1]
        if len(path) < len(found.get(rows[-1], path + ".")):
            found[rows[-1]] = path
    order = sorted(inner, key=lambda path: (inner[path], found[inner[path]] == path))
    layers = {path: tap_of(summary, inner[path], path) for path in order}
    known = {path: tap for path, tap in layers.items() if tap is not None}
    if not known:
        raise OptionError(message("feature_pyramid", "a net whose layers make maps", f"a {type(model).__name__}"))
    return known


def tap_of(summary: Summary, index: int, path: str) -> Tap | None:
    """Channels and stride of a row's map; None where it has no one stride."""
    row, seen = summary.rows[index], summary.fields[index]
    if seen is None or row.jump is None or len(row.shape) != len(seen.axes) + 2 or len(set(row.jump)) != 1:
        return None
    channels = [size for size, label in zip(row.shape[1:], seen.labels[1:], strict=True) if label is None]
    stride = row.jump[0]
    return Tap(path, channels[0], int(stride)) if len(channels) == 1 and stride == int(stride) else None


def picture_size(model: nn.Module) -> tuple[int, ...]:
    """A usual size that the net takes."""
    return summary_of(model)[0]


def summary_of(model: nn.Module) -> tuple[tuple[int, ...], Summary]:
    """A picture of a usual size, and what the layers make of it."""
    cfg = getattr(model, "default_cfg", None) or {}
    usual = [tuple(cfg["input_size"])] if "input_size" in cfg else []
    sizes = [*usual, *((count, side, side) for count in channels_of(model) for side in (224, 64, 32, 256))]
    why = ""
    for size in sizes:
        try:
            summary = summarize(model, size)
        except ShapeError as error:
            why = why or str(error)
            continue
        if summary.failure is None:
            return size, summary
        why = why or summary.failure
    given = f"a {type(model).__name__} that takes none"
    raise OptionError(message("feature_pyramid", "a net over pictures", given, why))
