"""Style transfer (Gatys, Ecker & Bethge 2016) on VGG-19, its layers called as in the papers.

    python examples/style_transfer.py --weights DEFAULT --content photo.jpg --style painting.jpg --out styled.png

Content is the map relu4_2; style is how the channels of relu1_1 to relu5_1 go together (their Gram matrices). The
picture itself is what learns. Without files the example draws its own two pictures, and without weights it takes a net
as it was initialised, which is enough to see the loss fall; for pictures worth looking at take trained weights.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

import smallnets as sn

CONTENT = ["relu4_2"]
STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def gram(features: Tensor) -> Tensor:
    """Which channels fire together: (N, C, H, W) -> (N, C, C)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def picture(path: str | None, side: int, pattern: str) -> Tensor:
    """A file as (1, 3, side, side) in [0, 1], or a drawn one."""
    if path:
        pixels = np.array(ImageOps.fit(Image.open(path).convert("RGB"), (side, side)))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    if pattern == "disc":
        grey = ((rows**2 + columns**2).sqrt() < 0.6).float()
        return torch.stack([grey, 0.5 * grey, 1 - grey])[None]
    return torch.stack([(12 * rows).sin(), (12 * (rows + columns)).sin(), (12 * columns).cos()])[None] * 0.5 + 0.5


def transfer(
    net: sn.VGG, content: Tensor, style: Tensor, steps: int, style_weight: float
) -> tuple[Tensor, list[float]]:
    """The picture with the content of one and the style of the other, and the loss at each step."""
    taps = sn.feature_pyramid(net.eval().requires_grad_(False), [*CONTENT, *STYLE])

    def features(x: Tensor) -> dict[str, Tensor]:
        return taps((x - MEAN) / STD)

    with torch.no_grad():
        content_goal = {name: features(content)[name] for name in CONTENT}
        style_goal = {name: gram(features(style)[name]) for name in STYLE}
    image = content.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.02)
    losses: list[float] = []
    for _ in range(steps):
        found = features(image)
        loss = sum((F.mse_loss(found[name], goal) for name, goal in content_goal.items()), torch.tensor(0.0))
        for name, goal in style_goal.items():
            loss = loss + style_weight * F.mse_loss(gram(found[name]), goal) / goal.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        losses.append(loss.item())
    return image.detach(), losses


def main(arguments: Sequence[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description="Paint one picture in the style of another.")
    parser.add_argument("--content", help="a picture to keep")
    parser.add_argument("--style", help="a picture to paint like")
    parser.add_argument("--weights", help="a file with weights of VGG-19, or DEFAULT for torchvision's")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--style-weight", type=float, default=1.0)
    parser.add_argument("--out", type=Path, help="where to write the picture")
    options = parser.parse_args(arguments)

    torch.manual_seed(0)
    # The maps need none of the linear layers, so a net without weights is built with a small head.
    net = sn.vgg19(weights=options.weights) if options.weights else sn.vgg19(head="linear")
    content, style = picture(options.content, options.side, "disc"), picture(options.style, options.side, "waves")
    image, losses = transfer(net, content, style, options.steps, options.style_weight)
    print(f"loss {losses[0]:.4f} at the first step, {losses[-1]:.4f} at the last of {len(losses)}")
    if options.out:
        pixels = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(options.out)
        print(f"written to {options.out}")
    return losses


if __name__ == "__main__":
    main()
