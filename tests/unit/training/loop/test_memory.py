"""Out of memory: one sentence, with a batch that fits."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets import FitOptions
from smallnets.errors import RunError
from smallnets.training.loop import memory
from smallnets.training.loop.memory import batch_that_fits


class Narrow(nn.Module):
    """A net whose device is full above so many pictures."""

    def __init__(self, most: int, error: RuntimeError) -> None:
        super().__init__()
        self.net = sn.lenet5()
        self.most, self.error = most, error

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise self.error
        return self.net(x)


DATA = torch.randn(64, 1, 32, 32), torch.arange(64) % 10
COMMON: dict[str, Any] = {"epochs": 1, "batch_size": 64, "progress": False, "device": "cpu", "compile": False}
FULL = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 b")]


@pytest.mark.parametrize("error", FULL)
def test_a_full_device_is_said_with_a_batch_that_fits(monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    each = sn.summarize(sn.lenet5(), (1, 32, 32)).training_memory(batch_size=4) // 4
    weights = sum(p.nbytes for p in sn.lenet5().parameters())
    monkeypatch.setattr(memory, "total_memory", lambda _: int((20 * each + 4 * weights) / memory.USABLE))
    text = "fit: expected a batch of 64 to fit into the memory of cpu; got out of memory. Take batch_size=16, with accumulate="
    with pytest.raises(RunError, match=re.escape(text)):
        sn.fit(Narrow(16, error), DATA, **COMMON)
    with pytest.raises(RunError, match=re.escape(text + "8 for updates from as many samples.")):
        sn.fit(Narrow(16, error), DATA, accumulate=2, **COMMON)
    sn.fit(Narrow(16, error), DATA, **{**COMMON, "batch_size": 16}, accumulate=4)


def test_where_nothing_is_known_no_number_is_said() -> None:
    with pytest.raises(RunError, match="Take a smaller batch_size, with accumulate= for updates from as many samples"):
        sn.fit(Narrow(1, torch.OutOfMemoryError("full")), DATA, **{**COMMON, "device": "cpu"})


def test_another_error_is_left_alone() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        sn.fit(Narrow(16, RuntimeError("something else")), DATA, **COMMON)


@pytest.mark.parametrize(("optimizer", "tensors"), [("sgd", 3), ("adam", 4)])
def test_the_batch_counts_weights_gradients_and_the_optimisers_state(optimizer: str, tensors: int) -> None:
    net = sn.lenet5()
    options = FitOptions(batch_size=256, optimizer=optimizer)  # type: ignore[arg-type]
    each = sn.summarize(net, (1, 32, 32)).training_memory(batch_size=4) / 4
    weights = sum(p.nbytes for p in net.parameters())
    room = 64 * each + tensors * weights
    assert batch_that_fits(net, options, (1, 32, 32), int(room / memory.USABLE) + 8) == 64
    assert batch_that_fits(net, options, (1, 32, 32), int(room / memory.USABLE) - 8) == 32
    assert batch_that_fits(net, options, (1, 32, 32), weights) is None
