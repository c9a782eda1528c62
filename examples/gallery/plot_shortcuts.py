"""
What shortcuts do for the gradient
==================================

A plain net of 56 layers trains badly, its residual twin trains well (He et al. 2016). One backward pass through nets that
have not learned anything yet already tells them apart.
"""

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import smallnets as sn


def gradients(residual: bool) -> list[float]:
    """The norm of the loss's gradient for each 3x3 convolution, relative to the norm of its weights."""
    torch.manual_seed(0)
    net = sn.resnet56(residual=residual)
    images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))
    F.cross_entropy(net(images), labels).backward()
    layers = [layer.weight for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
    return [(weight.grad.norm() / weight.norm()).item() for weight in layers]


norms, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, residual in (("plain", False), ("residual", True)):
    sizes = gradients(residual)
    axes.semilogy(range(1, len(sizes) + 1), sizes, marker="o", markersize=3, label=name)
    print(f"{name}: the largest is {max(sizes) / min(sizes):,.0f} times the smallest")
axes.set(xlabel="convolution, from the picture on", ylabel="norm of the gradient over that of the weights")
axes.set_title("ResNet-56 and its plain twin before training")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# Batch norm keeps the maps in range in both nets, but going backwards the plain net's gradient grows from layer to
# layer. No single learning rate is right for all of its layers; the shortcuts keep them within reach of each other.
