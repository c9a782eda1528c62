"""A small fully convolutional head for segmentation (Long et al. 2015): each stage votes, the votes are added up.

    python examples/segmentation.py [--net resnet18] [--steps 20] [--side 64]

Every stage's map gives class scores through a 1x1 convolution; the coarse ones are enlarged and added to the fine ones.
The pictures are noise with a bright square, the task is to tell the square's pixels from the others.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import smallnets as sn


class FCN(nn.Module):
    """Scores for every pixel: (N, 3, H, W) -> (N, classes, H, W)."""

    def __init__(self, net: sn.Net, num_classes: int) -> None:
        super().__init__()
        self.body = sn.feature_pyramid(net)
        self.votes = nn.ModuleList(nn.Conv2d(channels, num_classes, 1) for channels in self.body.channels.values())

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor | None = None
        for vote, features in zip(reversed(self.votes), reversed(self.body(x).values()), strict=True):
            finer = vote(features)
            scores = finer if scores is None else finer + enlarge(scores, finer.shape[-2:])
        assert scores is not None
        return enlarge(scores, x.shape[-2:])


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, list(size), mode="bilinear", align_corners=False)


def squares(count: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise with one bright square each, and which pixels are the square's."""
    pictures = 0.5 * torch.rand(count, 3, side, side, generator=generator)
    masks = torch.zeros(count, side, side, dtype=torch.int64)
    for mask in masks:
        size, left, top = (int(torch.randint(side // 4, side // 2, (), generator=generator)) for _ in range(3))
        mask[top : top + size, left : left + size] = 1
    return pictures + 0.5 * masks[:, None], masks


def main(arguments: Sequence[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description="Learn to find the pixels of a square.")
    parser.add_argument("--net", default="resnet18", choices=sn.list_models("resnet*") + sn.list_models("vgg*"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=64)
    options = parser.parse_args(arguments)

    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = FCN(sn.build(options.net), num_classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses: list[float] = []
    for step in range(options.steps):
        pictures, masks = squares(8, options.side, generator)
        loss = F.cross_entropy(model(pictures), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 5 == 0 or step == options.steps - 1:
            print(f"step {step + 1}: loss {losses[-1]:.3f}")
    pictures, masks = squares(8, options.side, generator)
    with torch.no_grad():
        found = model.eval()(pictures).argmax(1)
    union = ((found == 1) | (masks == 1)).sum()
    print(f"intersection over union on new pictures: {((found == 1) & (masks == 1)).sum() / union:.2f}")
    return losses


if __name__ == "__main__":
    main()
