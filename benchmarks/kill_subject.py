"""A small run that saves after every step; ``test_kill`` kills it."""

import sys

import torch

import smallnets as sn
from smallnets.data import load

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = sn.convnet3(in_channels=1, channels=(8, 8, 16))
    train, val = load("digits").split(0.2)
    sn.fit(
        net, train[:600], val[:100], epochs=6, batch_size=50, deterministic=True, run_dir=sys.argv[1],
        save_every=1, progress=False, device="cpu", ema=0.95,
    )  # fmt: skip
