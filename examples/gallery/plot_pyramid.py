"""
How much each stage sees
========================

``feature_pyramid`` gives a net's stages as named maps, for detectors and segmentation. Each stage has a stride, the step
in the picture between two places of its map, and a receptive field, the square that one place depends on.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image

import smallnets as sn

photo = load_sample_image("china.jpg")[64:288, 200:424]
torch.manual_seed(0)
net = sn.resnet18().eval()
pyramid = sn.feature_pyramid(net)
with torch.no_grad():
    maps = pyramid(torch.from_numpy(photo / 255.0).float().permute(2, 0, 1)[None])
for name, value in maps.items():
    print(
        f"{name}: {pyramid.channels[name]:>3} maps of {value.shape[2]}x{value.shape[3]}, stride {pyramid.strides[name]}"
    )

# %%
# The square in the middle is what the map's central place sees; the grid's step is the stride.

names = list(maps)
seen, axes = plt.subplots(1, len(names), figsize=(2.3 * len(names), 2.7), layout="constrained")
for axis, name in zip(axes, names, strict=True):
    field = sn.receptive_field(net, (3, 224, 224), at=name)
    side, stride = field.size[0], field.jump[0]
    axis.imshow(photo)
    axis.add_patch(Rectangle((112 - side / 2, 112 - side / 2), side, side, fill=False, color="red", linewidth=2))
    axis.set(xlim=(0, 224), ylim=(224, 0), xticks=range(0, 224, stride), yticks=range(0, 224, stride))
    axis.set(xticklabels=[], yticklabels=[])
    axis.grid(color="white", alpha=0.35, linewidth=0.6)
    axis.set_title(f"{name}: {side} pixels", fontsize=10)

# %%
# From ``layer3`` on the field is larger than the picture is wide. That does not mean that the net looks at all of it
# alike: the middle of a field counts for most.
