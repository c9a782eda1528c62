"""The pictures of the pages, drawn again: ``python docs/images/pages.py --data cifar10-jpeg.zip``.

Curves of long trainings come from the runs in the folders of benchmarks/results; the other pictures from runs that are
made here, in a few minutes on two processor cores. Without ``--data`` those of CIFAR-10 stay.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import smallnets as sn
from smallnets.cli import main as smallnets

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"
LONG = {
    "three-classes-both": ("three-classes/vgg", "three-classes/resnet"),
    "vgg-grown": ("vgg-grown",),
    "plain-against-residual": ("plain-against-residual",),
}
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
    for name, folders in LONG.items():
        curves = Path(tempfile.mkdtemp()) / "curves.png"
        sn.compare(*(RESULTS / folder for folder in folders)).plot(curves)
        small(curves, f"{name}.png")
    if data:
        run = trained("convnet3", "--data", data, *THREE)
        for name in ("confusion", "grid"):
            small(run / f"{name}.png", f"three-classes-{name}.png")


if __name__ == "__main__":
    main()
