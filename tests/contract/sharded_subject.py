"""One of two processes that share a net: ``sharded_subject.py KIND STORE RANK``; prints what a wrong input hears."""

import sys
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import smallnets as sn


def main(kind: str, store: str, rank: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=int(rank), world_size=2)
    torch.manual_seed(0)
    net = sn.resnet20()
    model: Any = net
    if kind == "ddp":
        model = DistributedDataParallel(net)
    else:
        for part in (net.layer1, net.layer2, net.layer3, net):
            fully_shard(part, mesh=init_device_mesh("cpu", (2,)))
    model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    try:
        model(torch.zeros(2, 4, 8, 8))
    except sn.ShapeError as error:
        print(error)
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
