"""The pictures of the tutorials, drawn again: ``python docs/images/tutorials.py --data cifar10-jpeg.zip``.

Curves of both nets of the three-class lab come from the runs in benchmarks/results/three-classes; the other pictures
from runs that are made here, in a few minutes on two processor cores. Without ``--data`` those of CIFAR-10 stay.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import smallnets as sn
from smallnets.cli import main as smallnets

HERE = Path(__file__).parent
CURVES = HERE.parents[1] / "benchmarks" / "results" / "three-classes"
THREE = ("--classes", "airplane,automobile,bird", "--limit", "3000", "--epochs", "8")


def trained(net: str, *options: str) -> Path:
    """The folder of a run."""
    folder = Path(tempfile.mkdtemp()) / "run"
    try:
        smallnets(["fit", net, *options, "--run-dir", str(folder)])
    except SystemExit as ended:
        if ended.code:
            raise
    return folder


def small(picture: Path, name: str) -> None:
    """64 colours are enough for what is drawn, and a third of the bytes."""
    Image.open(picture).convert("RGB").quantize(64).save(HERE / name, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-10 as an image folder or a zip of one")
    data = parser.parse_args().data
    small(trained("lenet5", "--data", "digits", "--epochs", "5") / "curves.png", "first-net-curves.png")
    both = Path(tempfile.mkdtemp()) / "both.png"
    sn.compare(CURVES / "vgg", CURVES / "resnet").plot(both)
    small(both, "three-classes-both.png")
    if data:
        run = trained("convnet3", "--data", data, *THREE)
        for name in ("confusion", "grid"):
            small(run / f"{name}.png", f"three-classes-{name}.png")


if __name__ == "__main__":
    main()
