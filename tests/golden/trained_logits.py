"""What the trained nets of the package say of eight generated pictures, written down when they were shipped.

python tests/golden/trained_logits.py    # writes trained_logits.json anew: after a net was added or replaced

CIFAR-10 has no licence that is stated, and is a part of pictures that were withdrawn; so none of its pictures is in this
repository. That the nets are as accurate as their files say was measured where their pictures are; here is held that
their numbers are still those.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

import smallnets as sn

FILE = Path(__file__).with_suffix(".json")


def pictures(channels: int, height: int, width: int) -> Tensor:
    """Waves of eight slopes, (8, C, H, W) in uint8: integers alone, the same everywhere."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [
        [(k * x * (c + 2) + (9 - k) * y * (c + 1) + x * y * k // 4) % 256 for c in range(channels)] for k in range(1, 9)
    ]
    return torch.stack([torch.stack(wave) for wave in waves]).to(torch.uint8)


def logits(one: sn.TrainedNet) -> Tensor:
    net = sn.load(one.path).eval()
    facts = net.data_facts
    floats = pictures(*net.input_size).float() / 255
    mean, std = (torch.tensor(part)[:, None, None] for part in (facts.mean, facts.std))
    with torch.no_grad():
        return net((floats - mean) / std)


if __name__ == "__main__":
    nets = []
    for one in sn.pretrained():
        rows = [json.dumps([round(value, 4) for value in row]) for row in logits(one).tolist()]
        nets.append(f'"{one.name}": [\n  ' + ",\n  ".join(rows) + "\n]")
    FILE.write_text("{\n" + ",\n".join(nets) + "\n}\n")
