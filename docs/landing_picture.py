"""Writes docs/images/landing.png, the picture of the first page: python docs/landing_picture.py.

On the left LeNet-5 to scale, on the right test digits with what the trained net of the package says they are; of those
that it gets wrong, two are among them.
"""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import smallnets as sn
from smallnets.plots import BAD, GOOD

HERE = Path(__file__).parent


def main() -> None:
    net, test = sn.lenet5(weights="digits"), sn.data.load("digits", "test")
    said = sn.predict(net, test)
    wrong = (said.labels != test.labels).nonzero().flatten().tolist()
    chosen = [*range(13), *wrong[:2]]
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(3)).tolist()
    drawing = BytesIO()
    sn.summarize(net, net.input_size).plot().savefig(drawing, dpi=130, format="png")
    drawing.seek(0)
    figure = plt.figure(figsize=(10, 3.6), dpi=130, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    axes = left.subplots()
    axes.imshow(plt.imread(drawing))
    axes.axis("off")
    for axes, place in zip(right.subplots(3, 5).flat, [chosen[number] for number in order], strict=True):
        axes.imshow(test.images[place, 0].numpy(), cmap="gray")
        axes.set(xticks=[], yticks=[])
        name, true = test.classes[said.labels[place]], test.classes[test.labels[place]]
        colour = GOOD if name == true else BAD
        axes.set_title(name if name == true else f"{name}, not {true}", fontsize=10, color=colour, pad=3)
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=1.2)
    figure.savefig(HERE / "images" / "landing.png")


if __name__ == "__main__":
    main()
