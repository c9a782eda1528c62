"""
Find a learning rate
====================

The rate rises from step to step while a copy of the net trains. Where the loss falls fastest, a rate is large enough to
learn and small enough not to diverge.
"""

import torch

import smallnets as sn

torch.manual_seed(0)
train, val = sn.data.load("digits").split(0.1)
net = sn.lenet5()
curve = sn.find_lr(net, train, batch_size=64)
print(f"suggestion: {curve.suggestion:.2g}")
rates = curve.plot()

# %%
# The net itself is as it was. The suggestion is a rate to begin with:

history = sn.fit(net, train, val, epochs=4, batch_size=64, lr=curve.suggestion, progress=False, deterministic=True)
print(f"validation accuracy after 4 epochs: {history['val_accuracy'][-1]:.4f}")
