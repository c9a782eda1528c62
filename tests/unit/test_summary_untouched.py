"""Looking at a model leaves it as it was: also when the look fails or is broken off."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from smallnets import check_shortcuts, min_input_size, receptive_field, summarize


class Busy(nn.Module):
    """Writes to itself wherever it can, draws random numbers, and stops when told to."""

    def __init__(self, stop: type[BaseException] | None = None) -> None:
        super().__init__()
        self.stop = stop
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.frozen = nn.BatchNorm2d(4).eval()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.history: list[Any] = []
        self.cache: dict[str, Any] = {}
        self.noise = torch.rand(4, 1, 1)
        self.hooked = 0
        self.conv.register_forward_hook(self.hook)
        self.conv.register_full_backward_hook(lambda *_: None)
        self.register_forward_pre_hook(lambda *_: self.history.append("pre"))

    def hook(self, *_: Any) -> None:
        self.hooked += 1

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(x)
        self.cache["x"] = x
        self.last = x
        x = self.frozen(self.norm(self.conv(x)))
        self.noise.mul_(2)
        if self.stop is not None:
            raise self.stop("stopped")
        factor = random.random() * float(np.random.rand())  # noqa: NPY002
        return x + torch.rand_like(x) * factor + self.noise + torch.rand(4, 1, 1)


def state(model: nn.Module) -> Any:
    def values(value: Any) -> Any:
        return value.tolist() if isinstance(value, Tensor) else value

    modules = {
        path: {name: values(value) for name, value in module.__dict__.items() if not isinstance(value, dict) or value}
        for path, module in model.named_modules()
    }
    hooks = {path: [len(module._forward_hooks), len(module._backward_hooks)] for path, module in model.named_modules()}
    numpy_state = repr(np.random.get_state())  # noqa: NPY002
    random_states = (torch.get_rng_state().tolist(), random.getstate(), numpy_state)
    tensors = {name: (id(value), value.tolist(), value.grad) for name, value in model.named_parameters()}
    tensors |= {name: (id(value), value.tolist(), value._version) for name, value in model.named_buffers()}
    plain = (list(getattr(model, "history", [])), getattr(model, "hooked", 0), hasattr(model, "last"))
    return repr((modules, hooks, random_states, tensors, plain, torch.is_grad_enabled()))


LOOKS: list[Callable[[nn.Module], Any]] = [
    lambda model: summarize(model, (3, 8, 8)),
    lambda model: summarize(model, (3, 8, 8)).training_memory(),
    lambda model: receptive_field(model, (3, 8, 8)),
    lambda model: min_input_size(model, training=True),
    lambda model: check_shortcuts(model, (3, 8, 8)),
]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes(look: Any, training: bool) -> None:
    model = Busy().train(training)
    model.frozen.eval()
    before = state(model)
    look(model)
    assert state(model) == before


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_changes_when_the_forward_fails(look: Any) -> None:
    model = Busy(RuntimeError)
    before = state(model)
    with pytest.raises((ValueError, AssertionError)):
        summary = look(model)
        assert summary.failure is None
    assert state(model) == before
    assert not _get_current_dispatch_mode_stack()


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_changes_when_it_is_interrupted(look: Any) -> None:
    model = Busy(KeyboardInterrupt)
    before = state(model)
    with pytest.raises(KeyboardInterrupt):
        look(model)
    assert state(model) == before
    assert not _get_current_dispatch_mode_stack()


def test_a_real_net_still_computes_the_same() -> None:
    model = torchvision.models.resnet18()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    summarize(model, (3, 64, 64)).training_memory()
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_it_works_under_other_modes() -> None:
    model = torchvision.models.alexnet()
    expected = summarize(model, (3, 224, 224)).to_dict()
    with torch.device("meta"):
        assert summarize(model, (3, 224, 224)).to_dict() == expected
    with torch.inference_mode():
        assert summarize(model, (3, 224, 224)).to_dict() == expected
    with torch.autocast("cpu"):
        assert summarize(model, (3, 224, 224)).to_dict() == expected
    with torch.enable_grad():
        assert summarize(model, (3, 224, 224)).to_dict() == expected
