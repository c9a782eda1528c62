"""
Augmentation: what the net is shown
===================================

``fit`` changes the training pictures anew in each epoch. What a picture becomes follows from the seed, the epoch and
the picture alone, so a run that was stopped goes on with the very same views.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_sample_image

import smallnets as sn

photo = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[:, ::3, ::3][:, :128, 32:160]
flowers = sn.data.ImageSet(
    images=photo.expand(6, 3, 128, 128).contiguous(),
    labels=torch.zeros(6, dtype=torch.long),
    classes=("flower",),
    ids=tuple("abcdef"),
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)

augmentations = ("none", "crop", "crop-flip", "resized-crop-flip", "scale-jitter-flip")
views, axes = plt.subplots(len(augmentations), 6, figsize=(7.2, 6.6), layout="constrained")
for row, name in zip(axes, augmentations, strict=True):
    (images, _), *_ = flowers.loader(6, augment=name)
    for axis, image in zip(row, images, strict=True):
        axis.imshow((image * 0.25 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy())  # back from what the net is fed
        axis.axis("off")
    row[0].set_title(name, loc="left", fontsize=10)

# %%
# ``augment="auto"``, the default of ``fit``, takes small shifts for digits, crop and flip for pictures under 64 pixels,
# and the resized crop above. A loop of your own gets the same views from ``ImageSet.loader``.
