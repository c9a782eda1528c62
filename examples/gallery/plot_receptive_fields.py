"""
How receptive fields grow
=========================

One place of a map depends on a square of the picture, its receptive field. It grows with each convolution, and faster
behind each stride.
"""

import matplotlib.pyplot as plt
import torch

import smallnets as sn

fields, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name in ("alexnet", "vgg16", "resnet18", "resnet50"):
    with torch.device("meta"):
        net = sn.build(name)
    rows = [row for row in sn.summarize(net, (3, 224, 224)).rows if row.type == "Conv2d"]
    sides = [row.receptive_field[0] for row in rows if ".downsample" not in row.path]
    axes.plot(range(1, len(sides) + 1), sides, marker="o", markersize=3, label=name)
axes.axhline(224, color="grey", linewidth=1, linestyle="dashed")
axes.text(50, 229, "the picture", color="dimgrey", ha="right", fontsize=9)
axes.set(xlabel="convolution", ylabel="field, pixels", title="Side of the receptive field behind each convolution")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# Thirteen 3x3 convolutions of VGG-16 end at 196 pixels, 212 behind the last pool: less than the picture. ResNets look
# further than the picture is wide, yet ResNet-50 no further than ResNet-18: in its blocks one convolution of three is
# 3x3.
#
# A single number, for any module of a net:

with torch.device("meta"):
    print(sn.receptive_field(sn.resnet50(), (3, 224, 224), at="layer4"))
