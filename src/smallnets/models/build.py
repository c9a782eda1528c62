"""The zoo as a whole: ``list_models``, ``build``, and the registry entry of a net. Here alone all nets are imported."""

from fnmatch import fnmatchcase
from typing import Literal, overload

from ..errors import OptionError, check_text, message
from . import names
from .alexnet import AlexNet
from .base import Net
from .convnet import ConvNet3
from .lenet import LeNet, LeNet1998
from .registry import ENTRIES as ENTRIES
from .registry import Entry as Entry
from .resnet import ResNet
from .resnet_cifar import CifarResNet
from .resnet_imagenet import ImageNetResNet
from .resnet_layer4 import resnet50_layer4 as resnet50_layer4
from .vgg import VGG


def entry(name: str) -> Entry:
    """The registry entry of a net.

    Raises:
        ValueError: When there is no such net; what to write instead or the nearest name is said.
    """
    if not isinstance(name, str) or name not in ENTRIES:  # pyright: ignore[reportUnnecessaryIsInstance]
        near = names.advice(name, ENTRIES) if type(name) is str else ""
        advice = near or f"The nets are: {', '.join(sorted(ENTRIES))}."
        raise OptionError(message("build", "the name of a net", repr(name), advice))
    return ENTRIES[name]


def list_models(pattern: str = "*") -> list[str]:
    """Names of the nets that match a shell pattern, in alphabetical order.

    Raises:
        ValueError: When the pattern is no text.

    >>> list_models("lenet*")
    ['lenet5']
    """
    check_text("list_models", "pattern", pattern)
    return sorted(name for name in ENTRIES if fnmatchcase(name, pattern))


@overload
def build(name: Literal["lenet5"], *, variant: Literal["modern", "wide"] = "modern", **options: object) -> LeNet: ...
@overload
def build(name: Literal["lenet5"], *, variant: Literal["1998"], **options: object) -> LeNet1998: ...
@overload
def build(name: Literal["convnet3"], **options: object) -> ConvNet3: ...
@overload
def build(name: Literal["alexnet"], **options: object) -> AlexNet: ...
@overload
def build(name: Literal["vgg", "vgg11", "vgg13", "vgg16", "vgg19"], **options: object) -> VGG: ...
@overload
def build(name: ImageNetResNet | CifarResNet | Literal["resnet50_layer4"], **options: object) -> ResNet: ...
@overload
def build(name: str, **options: object) -> Net: ...
def build(name: str, **options: object) -> Net:
    """Build a net by name; ``build(**net.config)`` rebuilds any net of the zoo.

    Args:
        name: One of ``list_models()``.
        **options: The builder's own options.

    Raises:
        ValueError: When there is no such net, or an option that it does not have or allow.

    >>> build("lenet5", num_classes=3).num_classes
    3
    """
    return entry(name).builder(**options)
