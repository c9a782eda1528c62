"""Linear layers as convolutions: the net runs over a whole picture of any size (Simonyan & Zisserman 2015, 3.2).

N batch, C channels, H W pixels.
"""

import copy

from torch import Tensor, nn

from ..errors import OptionError, message
from ..inputs import takes_pictures
from ..models.alexnet import AlexNet
from ..models.vgg import VGG
from ..shapes.input_rule import InputRule, last_side, smallest_side


class FullyConvolutional(nn.Module):
    """Features and a head of convolutions; see ``to_fully_convolutional``.

    Attributes:
        input_size: The natural input, (C, H, W), at which the map of logits is 1x1; larger than the model's where the
            model's own pool enlarges its last map.
        num_classes: Channels of the map of logits.
    """

    def __init__(self, model: VGG | AlexNet) -> None:
        super().__init__()
        if not isinstance(model, VGG | AlexNet):  # pyright: ignore[reportUnnecessaryIsInstance]
            got = f"a {type(model).__name__}"
            advice = "A net that ends in global pooling takes any size as it is."
            raise OptionError(message("to_fully_convolutional", "a VGG or an AlexNet", got, advice))
        rule = model.input_rule()
        if rule is None or model.avgpool is None:
            got, advice = "a net with another kind of layer in front of its head", "Convert it by hand."
            raise OptionError(message("to_fully_convolutional", "the layers that its builder made", got, advice))
        pool = int(model.avgpool.output_size)  # type: ignore[arg-type]  # pyright: ignore
        natural = max(model.input_size[1], smallest_side(rule.windows, pool))  # where the pool enlarges nothing
        side = last_side(rule.windows, natural)
        if side % pool:
            got, advice = f"{side} to {pool}", f"Take a head whose pool divides {side}."
            raise OptionError(message("to_fully_convolutional", "a pool with equal windows", got, advice))
        self.features = copy.deepcopy(model.features)
        self.pool = nn.AvgPool2d(side // pool, stride=1 if pool == 1 else side // pool)
        self.classifier = nn.Sequential()
        kernel_size = pool
        for layer in model.classifier:
            self.classifier.append(as_convolution(layer, kernel_size))
            kernel_size = 1 if isinstance(layer, nn.Linear) else kernel_size
        self.input_size = (model.input_size[0], natural, natural)
        self.num_classes = model.num_classes
        self._rule = rule._replace(least=smallest_side(rule.windows, side))
        self.train(model.training)

    @takes_pictures
    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N classes H' W'
        return self.classifier(self.pool(self.features(x)))

    def is_natural(self, x: Tensor) -> bool:
        """Whether what PyTorch computes of this picture is right, at a glance; of others the rule is asked."""
        return x.dim() == 4 and not x.is_meta

    def input_rule(self) -> InputRule | None:
        """What the net takes."""
        return self._rule


def to_fully_convolutional(model: VGG | AlexNet) -> FullyConvolutional:
    """A new net whose linear layers are convolutions with the same weights, for dense evaluation.

    At the natural size its map of logits is 1x1 and holds the logits of ``model``. A larger picture gives a larger
    map: one vector of logits for each place at which the natural picture fits, a stride of the features apart.
    The mean over the map is what the paper calls dense evaluation.

    Args:
        model: A VGG or an AlexNet; it is left as it is.

    Shape:
        (N, C, H, W) -> (N, num_classes, H', W'), H and W at least as large as the natural size needs.

    Raises:
        ValueError: When the model is of another family, whose head is a global pool and dense as it is.
        ShapeError: When a picture is smaller than the head, which was one window over its map.

    Source:
        Simonyan & Zisserman 2015, section 3.2; Sermanet et al. 2014 (OverFeat).

    >>> import torch
    >>> import smallnets as sn
    >>> dense = to_fully_convolutional(sn.vgg11(head="linear", num_classes=3))
    >>> dense(torch.zeros(1, 3, 32, 32)).shape, dense(torch.zeros(1, 3, 64, 96)).shape
    (torch.Size([1, 3, 1, 1]), torch.Size([1, 3, 2, 3]))
    """
    return FullyConvolutional(model)


def as_convolution(layer: nn.Module, kernel_size: int) -> nn.Module:
    """What does to maps what the layer does to vectors."""
    if isinstance(layer, nn.Linear):
        channels = layer.in_features // kernel_size**2
        shape = (layer.out_features, channels, kernel_size, kernel_size)
        conv = nn.Conv2d(channels, layer.out_features, kernel_size, device="meta")
        # The vector was the map flattened, channels first, so its weights unflatten to the kernel.
        conv.weight = nn.Parameter(layer.weight.detach().clone().view(shape))
        conv.bias = nn.Parameter(layer.bias.detach().clone())
        return conv
    if isinstance(layer, nn.BatchNorm1d):
        norm = nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum)
        norm.load_state_dict(layer.state_dict())
        return norm.to(layer.weight.device, layer.weight.dtype)
    return copy.deepcopy(layer)
