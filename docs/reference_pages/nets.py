"""The table of nets, a paper a section."""

from itertools import groupby

import torch

import smallnets as sn
from smallnets.models.build import entry
from smallnets.models.registry import Entry

from .markdown import table

HEAD = """\
# All nets: parameters, MACs, receptive fields

Made from the list of nets by `docs/write_reference.py`; `smallnets list` shows it, too. Counts are those of the
builder's defaults at its natural input (channels, height, width).

- *MACs* are the multiply-accumulates of convolutions and linear layers, for one picture. Twice as many are often
  called FLOPs.
- *Field* is the side of the square of the input that one place of the last map before the head depends on, in pixels.
  It may be larger than the picture.
- *Smallest* is the smallest side of a picture that passes; "fixed" means that only the natural size does.

The {doc}`builders <api/nets>` take `num_classes`, `in_channels` and more; on the command line, `--set` gives options.
"""
# The form for pictures of about 32 pixels with 10 classes.
SMALL = {
    "alexnet": {"stem": "cifar"},
    **{f"vgg{depth}": {"head": "linear", "num_classes": 10} for depth in (11, 13, 16, 19)},
    **{f"resnet{depth}": {"stem": "cifar"} for depth in (18, 34, 50, 101, 152)},
}
TITLES = {  # by the first net of a table
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "resnet18": "ResNet for ImageNet",
    "resnet20": "ResNet for CIFAR",
    "convnet3": "Three convolutions",
    "resnet50_layer4": "ResNet-50 cut for small pictures",
}
SMALL_HEAD = """
## The same for pictures of 32 pixels

With 10 classes. Under 64 pixels the command line builds these forms.

"""
TRAINED = """
## Trained nets that come with the package

`{0}` loads the first of them, and its name `{1}` stands for a net on the command line and in `predict`; nothing is
downloaded. Accuracy is a fraction of the test pictures, with flips that of the mean over each picture and its mirror
image (`tta="flip"`); the deviation is that of the runs, of which validation pictures chose one.

"""


def field(net: sn.Net, size: tuple[int, int, int]) -> int:
    return sn.receptive_field(net, size, at=net.feature_info.module_name(-1)).size[0]


def row(found: Entry) -> list[object]:
    with torch.device("meta"):
        net = sn.build(found.name)
    channels, height, width = found.input_size
    smallest: object = "fixed" if found.smallest == height and height < 63 and not takes_more(net) else found.smallest
    return [
        f"`{found.name}`",
        f"{channels}x{height}x{width}",
        found.parameters,
        found.macs,
        field(net, found.input_size),
        smallest,
    ]


def takes_more(net: sn.Net) -> bool:
    """Whether a picture twice as large passes."""
    channels, height, width = net.input_size
    return sn.summarize(net, (channels, 2 * height, 2 * width)).failure is None


def small_row(name: str, options: dict[str, object]) -> list[object]:
    with torch.device("meta"):
        net = sn.build(name, **options)
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    totals = sn.summarize(net, (3, 32, 32)).totals
    return [f"`{name}({given})`", totals.params, totals.macs, field(net, (3, 32, 32))]


def trained_row(one: sn.TrainedNet) -> list[object]:
    flipped = "" if one.flipped is None else f"{one.flipped:.4f}"
    measured = [f"{one.accuracy:.4f}", flipped, one.test_pictures, f"{one.spread:.4f}", one.runs]
    return [f"`{one.name}`", *measured, one.parameters, one.bytes, f"[{one.recipe}](recipes.md#{one.recipe})"]


def page() -> str:
    entries = sorted(map(entry, sn.list_models()), key=lambda found: (found.year, found.paper, found.input_size))
    text = HEAD
    for (paper, _), alike in groupby(entries, key=lambda found: (found.paper, found.input_size)):
        family = sorted(alike, key=lambda found: (found.parameters, found.name))
        text += f"\n## {TITLES.get(family[0].name, family[0].name)}: {paper}\n\n"
        text += table(["net", "input", "parameters:", "MACs:", "field:", "smallest:"], map(row, family))
    text += SMALL_HEAD
    text += table(["net", "parameters:", "MACs:", "field:"], [small_row(*each) for each in SMALL.items()])
    trained = sn.pretrained()
    text += TRAINED.format(f'sn.{trained[0].net}(weights="{trained[0].weights}")', trained[0].name)
    heads = ["name", "accuracy:", "with flips:", "pictures:", "deviation:", "runs:", "parameters:", "bytes:", "recipe"]
    return text + table(heads, map(trained_row, trained))
