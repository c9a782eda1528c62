"""
What a net sees: feature maps and Grad-CAM
==========================================

LeNet-5 as it comes with the package, trained, looks at one digit.
"""

import matplotlib.pyplot as plt

import smallnets as sn

net = sn.lenet5(weights="digits")
picture = sn.data.load("digits", "test").images[3]
found = sn.explain(net, picture)
print(found)

# %%
# Behind the first pool there are six maps of 14x14 pixels, behind the second sixteen of 5x5. Bright is where a map
# answers: edges first, then parts of digits.

first, second = found.maps.values()
maps, axes = plt.subplots(3, 8, figsize=(8, 3.4), layout="constrained")
shown = [found.picture[0], *first, found.picture[0] * 0, *second]
for place, (axis, values) in enumerate(zip(axes.flat, shown, strict=True)):
    axis.axis("off")
    if place != 7:
        axis.imshow(values.numpy(), cmap="gray" if place == 0 else "viridis")
axes[0, 0].set_title("picture", fontsize=9)
axes[0, 1].set_title("six maps", fontsize=9)
axes[1, 0].set_title("sixteen maps", fontsize=9)

# %%
# Grad-CAM weighs the last maps by what they do for a class (Selvaraju et al. 2017). Here for the class that the net
# chose, and for the one that came second.

second_best = int(found.probabilities.topk(2).indices[1])
cams, axes = plt.subplots(1, 2, figsize=(6, 3.2), layout="constrained")
for axis, target in zip(axes, (found.target, second_best), strict=True):
    asked = sn.explain(net, picture, target=target)
    axis.imshow(asked.picture[0].numpy(), cmap="gray")
    axis.imshow(asked.cam.numpy(), cmap="inferno", alpha=0.55)
    axis.set_title(f"speaks for {asked.classes[target]} ({asked.probabilities[target]:.4f})", fontsize=10)
    axis.axis("off")
