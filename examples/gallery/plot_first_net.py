"""
A first net on handwritten digits
=================================

LeNet-5 learns to read digits in a few seconds. The curves tell how; the grid shows what it is least sure of.
"""

import torch

import smallnets as sn

torch.manual_seed(0)
train, val = sn.data.load("digits").split(0.1)  # real handwriting, 32x32 pixels
net = sn.lenet5()
history = sn.fit(net, train, val, epochs=8, batch_size=64, lr=4e-3, progress=False, deterministic=True)
curves = history.plot()

# %%
# Validation is often better than training here: the training pictures are shifted at random, those of validation
# are not. The test pictures were in neither.

test = sn.data.load("digits", "test")
metrics = sn.evaluate(net, test)
print(f"test accuracy {metrics.accuracy:.4f} of {metrics.n} pictures")

# %%
# Sixteen test pictures with their predicted class, the least certain ones:

sure = sn.predict(net, test).probabilities.max(dim=1).values
least = test[sure.argsort()[:16]]
grid = sn.predict(net, least).grid(least)
