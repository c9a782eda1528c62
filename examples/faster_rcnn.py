"""A Faster R-CNN on a ResNet-18: one training step, then boxes in a new picture.

    python examples/faster_rcnn.py [--steps 1] [--side 128] [--weights resnet18.pth]

``feature_pyramid`` gives the maps of the four stages; torchvision's feature pyramid network brings them to one width,
which is what its detectors ask of a backbone. The pictures are bright squares on noise, their boxes are known.
"""

import argparse
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import smallnets as sn


class Backbone(nn.Module):
    """Stages of a net, brought to one width; the paper's P2 to P6."""

    def __init__(self, net: sn.Net, out_channels: int = 64) -> None:
        super().__init__()
        self.body = sn.feature_pyramid(net)
        self.fpn = FeaturePyramidNetwork(list(self.body.channels.values()), out_channels, LastLevelMaxPool())
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return self.fpn(self.body(x))


def detector(net: sn.Net, side: int) -> FasterRCNN:
    backbone = Backbone(net)
    return FasterRCNN(
        backbone,
        num_classes=2,  # background and square
        rpn_anchor_generator=AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 5),
        box_roi_pool=MultiScaleRoIAlign(list(backbone.body.channels), output_size=7, sampling_ratio=2),
        min_size=side,
        max_size=side,
    )


def squares(count: int, side: int, generator: torch.Generator) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Noise with one bright square each, and where it is."""
    pictures, targets = [], []
    for _ in range(count):
        picture = 0.3 * torch.rand(3, side, side, generator=generator)
        size, left, top = (int(torch.randint(side // 4, side // 2, (), generator=generator)) for _ in range(3))
        picture[:, top : top + size, left : left + size] += 0.6
        pictures.append(picture)
        box = torch.tensor([[left, top, left + size, top + size]], dtype=torch.float32)
        targets.append({"boxes": box, "labels": torch.ones(1, dtype=torch.int64)})
    return pictures, targets


def main(arguments: Sequence[str] | None = None) -> tuple[float, list[dict[str, Tensor]]]:
    parser = argparse.ArgumentParser(description="Train a Faster R-CNN on squares and look for one.")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--weights", help="a file with weights, or DEFAULT for torchvision's")
    options = parser.parse_args(arguments)

    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = sn.resnet18(weights=options.weights)
    sn.freeze(net, upto="layer1")  # also holds the statistics of its batch norms, as detectors do
    model = detector(net, options.side)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.01, momentum=0.9)

    total = torch.tensor(0.0)
    for step in range(options.steps):
        losses = model.train()(*squares(2, options.side, generator))
        total = sum(losses.values(), torch.tensor(0.0))
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        print(
            f"step {step + 1}: loss {total.item():.3f} = " + ", ".join(f"{k} {v.item():.3f}" for k, v in losses.items())
        )

    pictures, targets = squares(1, options.side, generator)
    with torch.no_grad():
        found = model.eval()(pictures)
    print(f"square at {targets[0]['boxes'][0].tolist()}; {len(found[0]['boxes'])} boxes found, best first:")
    for box, score in zip(found[0]["boxes"][:3].tolist(), found[0]["scores"][:3].tolist(), strict=True):
        print(f"  {score:.2f} at {[round(side) for side in box]}")
    return total.item(), found


if __name__ == "__main__":
    main()
