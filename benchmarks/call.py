"""What our errors cost where nothing is wrong: a call of resnet20 beside the same layers called without any look.

    python benchmarks/call.py [--repeats 4000] [--json benchmarks/call.json]

One picture, one thread, called by turns; the median of the ratio of neighbours counts, as both see the same machine.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
from build import hardware
from torch import Tensor, nn

import smallnets as sn
from smallnets.models.resnet import BasicBlock, ResNet


class BareBlock(BasicBlock):
    """The block as torchvision writes it."""

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class BareNet(ResNet):
    """The net as torchvision writes it."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.fc(x)


def bare(net: ResNet) -> nn.Module:
    for module in net.modules():
        if type(module) is BasicBlock:
            module.__class__ = BareBlock
    net.__class__ = BareNet
    return net


def seconds(net: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    net(x)
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    ours, theirs, x = sn.resnet20().eval(), bare(sn.resnet20().eval()), torch.randn(1, 3, 32, 32)
    pairs: list[tuple[float, float]] = []
    for turn in range(arguments.repeats):
        # Who goes first alternates: the first finds colder caches.
        first = seconds(ours, x) if turn % 2 else None
        other = seconds(theirs, x)
        pairs.append((first or seconds(ours, x), other))
    report = {
        "hardware": hardware(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "smallnets": sn.__version__,
        "n": arguments.repeats,
        "ours_median_us": 1e6 * statistics.median(own for own, _ in pairs),
        "bare_median_us": 1e6 * statistics.median(other for _, other in pairs),
        "median_ratio": statistics.median(own / other for own, other in pairs),
    }
    print(f"{report['ours_median_us']:.0f} us beside {report['bare_median_us']:.0f} us: {report['median_ratio']:.4f}")
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
