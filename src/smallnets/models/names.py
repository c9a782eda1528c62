"""Names that other libraries have for nets of this one. No torch here: a misspelt name costs no import of it."""

import re
from collections.abc import Collection
from shlex import quote

from ..errors import nearest

# torchvision's VGG with batch norm, its ResNeXt and wide ResNets, and all of these as CIFAR collections write them.
SPELLINGS = re.compile(
    r"(?:cifar(?P<front>100?)_)?"
    r"(?:(?P<vgg>vgg1[1369])(?P<norm>_bn)?|(?P<resnet>resnet\d+)"
    r"|resnext(?P<next>50|101|152)_(?P<groups>\d+)x(?P<width>\d+)d"
    r"|wide_resnet(?P<wide>50|101|152)_(?P<times>\d+))"
    r"(?:_cifar(?P<behind>100?))?",
    re.IGNORECASE,
)
IMAGENET = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def elsewhere(name: str) -> tuple[str, dict[str, object]] | None:
    """The net here, and its options, that other libraries call ``name``; None where it is no such name.

    >>> elsewhere("resnext50_32x4d")
    ('resnet50', {'groups': 32, 'width_per_group': 4})
    >>> elsewhere("cifar100_resnet20")
    ('resnet20', {'num_classes': 100})
    """
    found = SPELLINGS.fullmatch(name)
    if found is None:
        return None
    options: dict[str, object] = {}
    if found["next"]:
        net = f"resnet{found['next']}"
        options |= {"groups": int(found["groups"]), "width_per_group": int(found["width"])}
    elif found["wide"]:
        net = f"resnet{found['wide']}"
        options["width_per_group"] = 64 * int(found["times"])
    else:
        net = (found["vgg"] or found["resnet"]).lower()
    if found["norm"]:
        options["batch_norm"] = True
    cifar = found["front"] or found["behind"]
    if cifar:
        if net in IMAGENET:
            options["stem"] = "cifar"
        elif net.startswith("vgg"):
            options["head"] = {"hidden": (512, 512)}
        if cifar == "100":
            options["num_classes"] = 100
    return net, options


def advice(name: str, nets: Collection[str]) -> str:
    """What to write instead of a net's name that is not among ``nets``; "" where nothing is near."""
    known = elsewhere(name)
    if known is None or known[0] not in nets:
        return nearest(name, nets)
    net, options = known
    if not options:
        return f"Did you mean {net!r}?"
    call = ", ".join(f"{option}={value!r}" for option, value in options.items())
    settings = [quote(f"{option}={value}".replace("'", '"')) for option, value in options.items()]
    typed = " --set ".join([net, *settings])
    return f"Take {net}({call}), on the command line {typed}."
