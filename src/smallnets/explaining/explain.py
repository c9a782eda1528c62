"""``explain``: feature maps, first filters and Grad-CAM of one picture.

C channels, H W pixels, h w pixels of a map.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.imageset import ImageSet, ImageStream
from ..errors import DataError, OptionError, ShapeError, check_choice, first_line, message
from ..facts import facts_of
from ..files import write_text
from ..models.base import Net
from ..pyramid import feature_pyramid, known_stages
from ..taps import check_module
from ..training.evaluate import known_facts
from ..training.predict import pictures_of
from ..weights import unwrapped
from .examples import Examples, strongest
from .page import page

Picture = str | os.PathLike[str] | Image.Image | Tensor | np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What ``explain`` found; ``to_html`` shows it.

    Attributes:
        net: Its name.
        picture: As the net saw it, (C, H, W), in [0, 1].
        classes: In the order of the logits.
        probabilities: One a class.
        target: The class that ``cam`` speaks of; the likeliest, where none was asked for.
        maps: What the layers made of the picture, (C', h, w) each, by name.
        filters: Of the first convolution, (filters, C, kernel, kernel); none where the net has no such layer.
        cam: Where the picture speaks for the target, (H, W) in [0, 1]; all 0 where nothing does.
        examples: Of each layer's channels that the picture excites most, the pictures of a set that do so most, by the
            layer's name; empty where no set was given.
    """

    net: str
    picture: Tensor
    classes: tuple[str, ...]
    probabilities: Tensor
    target: int
    maps: dict[str, Tensor]
    filters: Tensor
    cam: Tensor
    examples: Mapping[str, tuple[Examples, ...]] = field(default_factory=dict[str, tuple[Examples, ...]])

    def __str__(self) -> str:
        best = self.probabilities.topk(min(3, len(self.classes)))
        said = ", ".join(
            f"{self.classes[at]} {share:.4f}" for share, at in zip(best[0].tolist(), best[1].tolist(), strict=True)
        )
        return f"{self.net}: {said}"

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one self-contained page.

        Raises:
            RunError: When it cannot be written.
        """
        write_text(path, page(self))


def explain(
    net: nn.Module,
    picture: Picture,
    *,
    layers: Sequence[str | int] | None = None,
    target: str | int | None = None,
    examples: ImageSet | ImageStream | None = None,
) -> Explanation:
    """What a net makes of one picture: maps of its layers, its first filters, and where its answer comes from.

    Args:
        net: A net of the zoo, or any other over pictures that gives logits, such as torchvision's; left as it is.
        picture: A path or a picture of Pillow's, of any size, which is brought to the net's; or a tensor or array,
            (C, H, W): uint8, which is normalised by ``net.data_facts``, or floats, which are taken as they are.
        layers: Whose maps: names or indices of stages, see ``feature_pyramid``; all stages by default.
        target: The class that is to be explained, by name or number; the likeliest by default.
        examples: Pictures, as a rule the test split, in which to look for those that excite the same channels most.

    Raises:
        ValueError: When the net gives no logits or makes no maps, or there is no such layer, class or picture.

    Source:
        Selvaraju et al. 2017, equations 1 and 2 (Grad-CAM), at the net's last map; enlarged bilinearly.

    >>> import smallnets as sn
    >>> found = explain(sn.lenet5(weights="digits"), sn.data.load("digits", "test").images[0])
    >>> {name: tuple(maps.shape) for name, maps in found.maps.items()}, tuple(found.cam.shape)
    ({'features.2': (6, 14, 14), 'features.5': (16, 5, 5)}, (32, 32))
    """
    check_module("explain", net)
    inner = unwrapped(net)
    if isinstance(inner, Net) and inner.num_classes == 0:
        raise OptionError(message("explain", "a net that has classes", "num_classes=0"))
    shown, x = seen(inner, picture)
    model = copy.deepcopy(inner).cpu().float().eval()
    with torch.no_grad():
        logits = logits_of(model, x)
    stages, known = known_stages(model)
    # Of a net without strides, its last map.
    pyramid = feature_pyramid(model, layers if layers is not None or stages else list(known)[-1:])
    with torch.no_grad():
        maps = pyramid(x)
    probabilities = F.softmax(logits, dim=1)[0]
    names = known_facts(model).classes
    classes = names if len(names) == len(probabilities) else tuple(map(str, range(len(probabilities))))
    chosen = int(probabilities.argmax()) if target is None else number_of(target, classes)
    first = next((layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)), torch.empty(0, 1, 1, 1))
    name = model.config["name"] if isinstance(model, Net) else type(inner).__name__
    return Explanation(
        str(name),
        shown,
        classes,
        probabilities,
        chosen,
        {name: value[0] if value.dim() == 4 else value[0, :, None, None] for name, value in maps.items()},
        first.detach(),
        grad_cam(model, list((stages or known).values())[-1].path, x, chosen),
        {} if examples is None else strongest(model, pyramid, maps, examples),
    )


def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """What the net says of one picture, (1, classes).

    Raises:
        ShapeError: When it does not take the picture, or gives no logits.
    """
    try:
        logits: object = model(x)
    except RuntimeError as error:  # of another's net; ours say it themselves
        expected = "a picture that the net takes"
        raise ShapeError(message("explain", expected, f"{tuple(x.shape[1:])}: {first_line(error)}")) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ShapeError(message("explain", "a net that gives logits, (N, classes)", got))
    return logits


def grad_cam(model: nn.Module, path: str, x: Tensor, target: int) -> Tensor:
    """A layer's maps, each times the mean of its gradient, summed where that is positive: (H, W) in [0, 1]."""
    kept: list[Tensor] = []

    def keep(layer: nn.Module, args: object, out: Tensor) -> Tensor:
        kept[:] = [out.detach().requires_grad_()]  # of a layer that is called twice, the last call
        return kept[0].clone()  # which what comes behind it may overwrite

    hook = model.get_submodule(path).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            score = logits_of(model, x)[0, target]
            (gradient,) = torch.autograd.grad(score, kept, allow_unused=True, materialize_grads=True)
    finally:
        hook.remove()
    maps = kept[0].detach()
    cam = F.relu((gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True))
    cam = F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)[0, 0]
    return cam / cam.max() if cam.max() > 0 else cam


def seen(net: nn.Module, picture: Picture) -> tuple[Tensor, Tensor]:
    """The picture to look at, (C, H, W) in [0, 1], and what the net takes of it, (1, C, H, W).

    Raises:
        DataError: When there is not one picture, or the net does not know how to normalise it.
    """
    if isinstance(picture, str | os.PathLike | Image.Image):
        found = pictures_of(net, picture)
        if len(found) != 1:
            raise DataError(message("explain", "one picture", f"{len(found):,}", "Name one of them."))
        pixels = found[0][0]
    else:
        try:
            pixels = torch.as_tensor(picture)
        except (TypeError, ValueError, RuntimeError) as error:
            got = f"a {type(picture).__name__}"
            raise OptionError(message("explain", "a picture: a path, Pillow's, a tensor or an array", got)) from error
    if pixels.dim() != 3:
        raise DataError(message("explain", "one picture, (C, H, W)", f"shape {tuple(pixels.shape)}"))
    if pixels.is_floating_point():
        low, high = pixels.min(), pixels.max()
        return (pixels.float().cpu() - low) / (high - low).clamp(min=1e-12), pixels.float().cpu()[None]
    facts = facts_of(net)
    if pixels.dtype != torch.uint8 or facts is None or not facts.mean:
        got = f"{pixels.dtype} pixels" + ("" if pixels.dtype != torch.uint8 else " for a net without facts of its data")
        advice = "Set net.data_facts = DataFacts(mean=..., std=...), or normalise the picture yourself."
        raise DataError(message("explain", "uint8 pixels and a net that knows their mean and std", got, advice))
    shown = pixels.cpu().float() / 255
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (facts.mean, facts.std))
    return shown, ((shown - mean) / std)[None]


def number_of(target: str | int, classes: Sequence[str]) -> int:
    """The number of a class that is given by name or number."""
    if isinstance(target, str):
        if target not in classes and target.isdecimal():
            target = int(target)
        else:
            check_choice("explain", "target", target, classes)
            return list(classes).index(target)
    if isinstance(target, bool) or not isinstance(target, int) or not 0 <= target < len(classes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("explain", f"target below {len(classes)}, or a class's name", repr(target)))
    return target
