"""What every net of the zoo shares: logits out, features in between, a config that rebuilds it.

N batch, C channels, H W pixels.
"""

import functools
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, cast, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import OptionError, check_choice, check_int, message
from ..inputs import explained
from ..shapes.input_rule import InputRule, MapRule, last_side
from .blocks import Draw, linear, torchs_own
from .trained import shipped

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
FLOATS = frozenset((torch.float32, torch.float16, torch.bfloat16))


class Stage(NamedTuple):
    """One of a net's feature maps: the layer that makes it, its channels, its stride in input pixels."""

    name: str
    channels: int
    stride: int


class Stages(tuple[Stage, ...]):
    """A net's stages, from the input on; the methods are timm's names for what they hold.

    >>> import smallnets as sn
    >>> sn.resnet20().feature_info.channels(), sn.resnet20().feature_info.reduction(-1)
    ([16, 32, 64], 4)
    """

    __slots__ = ()

    @overload
    def channels(self, index: None = None) -> list[int]: ...
    @overload
    def channels(self, index: int) -> int: ...
    def channels(self, index: int | None = None) -> list[int] | int:
        """Channels of every map, or of one."""
        return [stage.channels for stage in self] if index is None else self[index].channels

    @overload
    def reduction(self, index: None = None) -> list[int]: ...
    @overload
    def reduction(self, index: int) -> int: ...
    def reduction(self, index: int | None = None) -> list[int] | int:
        """Stride of every map, or of one, in input pixels."""
        return [stage.stride for stage in self] if index is None else self[index].stride

    @overload
    def module_name(self, index: None = None) -> list[str]: ...
    @overload
    def module_name(self, index: int) -> str: ...
    def module_name(self, index: int | None = None) -> list[str] | str:
        """Path of the layer that makes every map, or one."""
        return [stage.name for stage in self] if index is None else self[index].name


class Net(nn.Module):
    """Base of every net: ``forward`` is ``forward_features``, then ``forward_head``.

    Attributes:
        config: The builder's name and options, JSON-able; ``build(**net.config)`` makes the same net.
        metadata: What ``save`` kept beside the weights; empty where the net was not loaded from such a file.
        input_size: The natural input, (C, H, W).
        num_features: Length of the vector that the last linear layer takes.
        num_classes: Length of the logits; 0 where the net ends in that vector.
        feature_info: The net's stages, from the input on.
    """

    config: dict[str, Any]
    metadata: dict[str, Any]
    input_size: tuple[int, int, int]
    num_features: int
    num_classes: int
    feature_info: Stages
    _rule: InputRule  # what the net takes as it was built
    _classifier: str  # the path of the last linear layer
    _draw: Draw = staticmethod(torchs_own)  # how it is drawn
    __jit_ignored_attributes__: ClassVar = ["config", "metadata", "input_size", "feature_info", "_rule", "_draw"]

    def describe(self, rule: InputRule, side: int, stages: Sequence[Stage], num_features: int, last: str) -> None:
        """Note what the net takes, its natural side in pixels, its stages, and the last linear layer's path."""
        self.input_size = (rule.channels, side, side)
        self.feature_info, self.num_features = Stages(stages), num_features
        self._rule, self._classifier = rule, last
        last_map = None if rule.side is None else last_side(rule.windows, rule.side)
        self._map_rule = MapRule(rule.net, stages[-1].channels, last_map)
        self.grad_checkpointing = False

    def _named_weights(self, weights: object) -> Path | None:
        """The file of the trained net of the package that a word names; None where it is another kind of source."""
        config = getattr(self, "config", None)
        found = None if config is None else shipped(str(config["name"]), weights)
        return None if found is None else found.path

    @explained
    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N classes
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map: (N, C, H, W) -> (N, C', H', W')."""
        raise NotImplementedError

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """From the last feature map to the logits: (N, C', H', W') -> (N, num_classes), or to what they are made of."""
        raise NotImplementedError

    def is_natural(self, x: Tensor) -> bool:
        """Whether what PyTorch computes of this picture is right, at a glance; of others the rule is asked."""
        side = self._rule.side
        return x.dim() == 4 and not x.is_meta and (side is None or x.shape[2:] == (side, side))

    def input_rule(self) -> InputRule | None:
        """What the net takes, read off its layers as they stand; None where they cannot be read."""
        raise NotImplementedError

    def is_natural_map(self, x: Tensor) -> bool:
        """Whether the head was built for such maps; of others ``head_rule`` is asked."""
        shape, side = x.shape, self._map_rule.side
        if len(shape) != 4 or shape[1] != self._map_rule.channels or x.dtype not in FLOATS:
            return False
        return 0 not in shape if side is None else shape[2:] == (side, side)

    def head_rule(self) -> MapRule | None:
        """What the head takes, read off its layers as they stand; None where they cannot be read."""
        raise NotImplementedError

    def layer_at(self, path: str) -> nn.Module | None:
        """The layer of that path, of whatever kind it is by now; None where there is none."""
        try:
            return self.get_submodule(path)
        except AttributeError:
            return None

    def stage_layers(self) -> list[nn.Module]:
        """The modules that make the maps of ``feature_info``, one after the other."""
        raise NotImplementedError

    def recomputed(self, x: Tensor) -> Tensor:
        """The stages on x, keeping for the backward pass only what goes from one to the next."""
        for stage in self.stage_layers():
            contexts = functools.partial(recomputing, stage)
            x = cast(Tensor, checkpoint(stage, x, use_reentrant=False, context_fn=contexts))
        return x

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each stage in the backward pass, which costs time and saves the memory of its maps.

        The net computes and learns the same: dropout falls alike, and batch norms take each batch once. A compiled net
        recomputes what its compiler chooses.
        """
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that most recipes do not decay: biases, and scales of norms."""
        return {name for name, parameter in self.named_parameters() if parameter.dim() < 2}

    def last_layer(self, num_classes: int) -> nn.Module:
        """A fresh last layer: linear, or nothing for 0 classes."""
        check_int(self._rule.net, "num_classes", num_classes, least=0)
        self.num_classes = num_classes
        return linear(self.num_features, num_classes, self._draw) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """The last linear layer, or what has its place.

        Raises:
            ValueError: When the net was changed so that the place is gone.
        """
        try:
            return self.get_submodule(self._classifier)
        except AttributeError:
            expected, got = f"its last layer at {self._classifier}", "a net with another head"
            raise OptionError(message(self._rule.net, expected, got, "Replace the layer by hand.")) from None

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> Self:
        """Replace the last linear layer by a fresh one for ``num_classes``; 0 leaves none.

        Args:
            num_classes: Length of the logits.
            global_pool: The pool stays as it is: None, or ``"avg"`` where that is what the net has.

        Returns:
            The net itself.

        Raises:
            ValueError: When ``num_classes`` is not an integer of at least 0, or the place of the layer is gone.
        """
        pool = getattr(self, "avgpool", None)
        allowed = (None, "avg") if getattr(pool, "output_size", None) in (1, (1, 1)) else (None,)
        check_choice(self._rule.net, "global_pool", global_pool, allowed)
        replaced, like = self.get_classifier(), next(self.parameters())
        if isinstance(replaced, nn.Linear):
            self.num_features = replaced.in_features  # which may have been pruned
        with torch.device(like.device):
            layer = self.last_layer(num_classes).to(like.dtype)
        self.set_submodule(self._classifier, layer.train(self.training))
        self.config = {**self.config, "num_classes": num_classes}
        return self


def recomputing(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What a stage runs in at first, and when it is recomputed."""
    return nullcontext(), statistics_kept(stage)


@contextmanager
def statistics_kept(stage: nn.Module) -> Generator[None]:
    """Batch norms write into copies of their statistics, into which they have taken this batch before."""
    norms = [layer for layer in stage.modules() if isinstance(layer, BATCH_NORMS)]
    kept = [(norm, name, value) for norm in norms for name, value in norm.named_buffers(recurse=False)]
    for norm, name, value in kept:
        setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, name, value in kept:
            setattr(norm, name, value)
