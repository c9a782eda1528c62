"""Any net of the zoo under torchvision's feature pyramid network: every stage at one width.

    python examples/fpn.py [--net resnet50] [--side 224]

``channels`` says what the network on top has to take, ``strides`` how large each map is.
"""

import argparse
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import FeaturePyramidNetwork

import smallnets as sn


def main(arguments: Sequence[str] | None = None) -> OrderedDict[str, Tensor]:
    parser = argparse.ArgumentParser(description="Bring every stage of a net to one width.")
    parser.add_argument("--net", default="resnet50", choices=sn.list_models())
    parser.add_argument("--side", type=int, default=224)
    options = parser.parse_args(arguments)

    torch.manual_seed(0)
    pyramid = sn.feature_pyramid(sn.build(options.net).eval())
    fpn = FeaturePyramidNetwork(list(pyramid.channels.values()), out_channels=256)
    channels = next(pyramid.parameters()).shape[1]
    with torch.no_grad():
        maps = pyramid(torch.randn(1, channels, options.side, options.side))
        levels = fpn(maps)
    print(f"{'stage':<14}{'stride':>7}{'channels':>10}{'map':>20}{'after the FPN':>20}")
    for name, stride in pyramid.strides.items():
        before, after = ("x".join(map(str, values[name].shape)) for values in (maps, levels))
        print(f"{name:<14}{stride:>7}{pyramid.channels[name]:>10}{before:>20}{after:>20}")
    return levels


if __name__ == "__main__":
    main()
