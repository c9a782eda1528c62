"""Weight gradients over unfolded maps: autograd's own, for any convolution; and a net that is left as it was."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import smallnets as sn
from smallnets.training.plan import calibrate, unfolded
from smallnets.training.plan.calibrate import choose_plan
from smallnets.training.plan.plan import Plan
from smallnets.training.plan.timing import Timing

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=pairs,
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_gradient_is_autograds(
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    extra: Any,
    channels: Any,
    bias: bool,
    channels_last: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    size = [max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]) + extra[i] for i in (0, 1)]
    plain = nn.Conv2d(*channels, kernel, stride, padding, dilation, bias=bias, dtype=torch.float64)
    other = copy.deepcopy(plain)
    unfolded.use_unfolded(other, [""])
    x = torch.randn(2, channels[0], *size, dtype=torch.float64)
    results = []
    for layer in (plain, other):
        into = x.contiguous(memory_format=torch.channels_last) if channels_last else x
        into = into.clone().requires_grad_()
        output = layer(into)
        output.square().sum().backward()
        results.append((output, into.grad, *(p.grad for p in layer.parameters())))
    for expected, found in zip(*results, strict=True):
        assert isinstance(expected, Tensor) and isinstance(found, Tensor)
        torch.testing.assert_close(found, expected)


def test_under_autocast_it_computes_in_bf16_as_the_library_does() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(16, 8, 3, padding=1)
    other = copy.deepcopy(plain)
    unfolded.use_unfolded(other, [""])
    x = torch.randn(4, 16, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [layer(x) for layer in (plain, other)]
    assert [output.dtype for output in outputs] == [torch.bfloat16] * 2 and torch.equal(*outputs)
    for output in outputs:
        output.float().square().sum().backward()
    for expected, found in zip(plain.parameters(), other.parameters(), strict=True):
        assert expected.grad is not None and found.grad is not None and found.grad.dtype == torch.float32
        assert (found.grad - expected.grad).abs().max() <= 0.01 * expected.grad.abs().max()


def test_the_net_keeps_its_state_dict_and_its_pickle_and_gets_its_convolutions_back() -> None:
    net = sn.convnet3(in_channels=1)
    names = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    before = list(net.state_dict())
    unfolded.use_unfolded(net, names)
    assert list(net.state_dict()) == before
    assert isinstance(pickle.loads(pickle.dumps(net)), sn.ConvNet3)
    unfolded.use_library(net, names)
    assert not any("_conv_forward" in vars(module) for module in net.modules())


def gaining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call every rewrite faster."""
    monkeypatch.setattr(unfolded, "FASTER", 0.0)


class Standardised(nn.Conv2d):
    """A layer that does something of its own with its weight."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Rounded(nn.Conv2d):
    """A layer that convolves in a way of its own."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight.round(), bias)


def test_only_small_maps_of_plain_convolutions_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    gaining(monkeypatch)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),  # 16 x 16: too large
        nn.MaxPool2d(4),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 4, 3).requires_grad_(False),
        Standardised(4, 4, 3, padding=1),
        Rounded(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 1),
    )  # fmt: skip
    plan = Plan(torch.device("cpu"))
    assert unfolded.layers_that_gain(net, torch.randn(2, 3, 16, 16), plan.autocast) == ("2", "9")
    assert len(unfolded.layers_that_gain(sn.vgg11(), torch.randn(1, 3, 32, 32), plan.autocast)) == 6


def test_a_gradient_that_differs_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    gaining(monkeypatch)
    original = unfolded.weight_gradient
    monkeypatch.setattr(unfolded, "weight_gradient", lambda *arguments: original(*arguments) * 1.1)
    layer = nn.Conv2d(4, 4, 3, padding=1)
    assert not unfolded.is_faster(layer, torch.randn(2, 4, 4, 4))


def test_the_plan_takes_it_where_it_is_faster_and_fit_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gaining(monkeypatch)
    measured = calibrate.measure_plan

    def faster(*arguments: Any) -> Timing:
        found = measured(*arguments)
        plan: Plan = arguments[4]
        return Timing(plan, 0.5 if plan.unfolded else 1.0, found.loss, 0.0)

    monkeypatch.setattr(calibrate, "measure_plan", faster)
    monkeypatch.setattr(calibrate, "first_look", lambda *given: (faster(*given[:5], float("inf")), len(given[1])))
    monkeypatch.setattr(calibrate, "SHARE", 1000.0)  # as much time as it wants
    torch.manual_seed(0)
    data = (torch.randn(64, 1, 32, 32), torch.arange(64) % 10)
    start = sn.convnet3(in_channels=1, channels=(8, 8, 8))
    options = sn.FitOptions(precision="fp32", compile=False)
    plan, said = choose_plan(start, *data, F.cross_entropy, options, Plan(torch.device("cpu")), 1000)
    assert plan.unfolded and f"{len(plan.unfolded)} weight gradients unfolded" in said
    nets = [copy.deepcopy(start), copy.deepcopy(start)]
    common: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False, "compile": False, "precision": "fp32"}
    common |= {"optimizer": "sgd", "lr": 0.01}
    history = sn.fit(nets[0], data, **common)
    assert history.plan["unfolded"] == list(plan.unfolded)
    assert not any("_conv_forward" in vars(module) for module in nets[0].modules())
    monkeypatch.setattr(unfolded, "FASTER", 1e9)
    assert sn.fit(nets[1], data, **common).plan["unfolded"] == []
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_fit_does_compute_its_gradients_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = unfolded.weight_gradient
    monkeypatch.setattr(unfolded, "weight_gradient", lambda *a: calls.append(1) or original(*a))
    net = nn.Conv2d(2, 2, 3, padding=1)
    unfolded.use_unfolded(net, [""])
    net(torch.randn(1, 2, 4, 4)).sum().backward()
    assert calls
