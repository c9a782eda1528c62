"""Receptive fields against brute force: make one input pixel not a number and see which outputs it reaches."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from smallnets import receptive_field
from smallnets.errors import ShapeError


class Branches(nn.Module):
    """A shortcut, or convolutions of other kernels, beside a convolution; stride alike."""

    def __init__(self, kernel: int, other: int, stride: int, dilation: int, joined: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, kernel, stride, padding=dilation * (kernel - 1) // 2, dilation=dilation)
        self.side = nn.Conv2d(1, 1, other, stride, padding=(other - 1) // 2)
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x), self.side(x)
        if self.joined == "cat":
            return torch.cat((a, b), dim=1).sum(dim=1, keepdim=True)
        return a + b


odd = st.sampled_from([1, 3, 5])


@st.composite
def layers(draw: st.DrawFn) -> nn.Module:
    kind = draw(st.sampled_from(["conv", "max", "average", "branches", "relu", "norm", "pad"]))
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    if kind == "conv":
        padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, draw(st.integers(0, kernel // 2)), draw(st.integers(1, 2)))
    if kind == "average":
        return nn.AvgPool2d((kernel, 2), stride, draw(st.integers(0, min(1, kernel // 2))))
    if kind == "branches":
        joined = draw(st.sampled_from(["add", "cat"]))
        return Branches(draw(odd), draw(odd), stride, draw(st.integers(1, 2)), joined)
    if kind == "pad":
        return nn.ZeroPad2d(draw(st.tuples(*[st.integers(0, 2)] * 4)))
    return nn.ReLU() if kind == "relu" else nn.BatchNorm2d(1)


def reached(net: nn.Module, side: int, axis: int) -> list[set[int]]:
    """For each output position along an axis, the input positions that it depends on."""
    with torch.no_grad():
        seen: list[set[int]] = [
            set() for _ in range(net(torch.ones(1, 1, side, side, dtype=torch.float64)).shape[2 + axis])
        ]
        for place in range(side):
            x = torch.ones(1, 1, side, side, dtype=torch.float64)
            x.select(2 + axis, place).fill_(math.nan)
            struck = net(x).isnan().any(dim=1)[0].any(dim=1 - axis)
            for output in struck.nonzero().flatten().tolist():
                seen[output].add(place)
    return seen


def windows(net: nn.Module, side: int, axis: int, count: int) -> list[range]:
    """The same from ``receptive_field``; a window may lie partly in the padding."""
    size, jump, offset = (numbers[axis] for numbers in receptive_field(net, (1, side, side)))
    return [range(int(offset + place * jump), int(offset + place * jump + size)) for place in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.lists(layers(), min_size=1, max_size=4), st.integers(0, 1))
def test_the_field_is_what_reaches_the_output(chain: list[nn.Module], axis: int) -> None:
    net = nn.Sequential(*chain, nn.Identity()).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    side = 24
    try:
        net(torch.ones(1, 1, side, side, dtype=torch.float64))
    except RuntimeError:
        with pytest.raises(ShapeError):
            receptive_field(net, (1, side, side), at=str(len(chain)))
        return
    expected = reached(net, side, axis)
    for brute, window in zip(expected, windows(net, side, axis, len(expected)), strict=True):
        assert all(place in window for place in brute)
        # Strides and dilations may step over pixels inside a window, but not over its ends.
        if window.start >= 0 and window.stop <= side:
            assert {window.start, window.stop - 1} <= brute


@pytest.mark.parametrize(
    "net",
    [
        nn.ConvTranspose2d(1, 1, 4, 2, 1),
        nn.ConvTranspose2d(1, 1, 3, 2, 1, 1),
        nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.ConvTranspose2d(1, 1, 2, 2)),
        nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)),
        nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")),
    ],
)
def test_going_up_the_field_is_the_widest_of_its_phases(net: nn.Module) -> None:
    net = net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    brute = max(max(seen) - min(seen) + 1 for seen in reached(net, 24, 0))
    assert receptive_field(net, (1, 24, 24)).size[0] == brute


class Attends(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).reshape(x.shape)


class Gates(nn.Module):
    """Squeeze and excitation: every position is scaled by a mean over all of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean(dim=(2, 3), keepdim=True).sigmoid()


@pytest.mark.parametrize(
    "layer", [nn.AdaptiveAvgPool2d(1), Attends(), Gates(), nn.GroupNorm(1, 1), nn.InstanceNorm2d(1), nn.Softmax(2)]
)
def test_what_looks_everywhere_sees_the_whole_input(layer: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), layer)
    field = receptive_field(net, (1, 16, 24), at="1")
    assert field.size[0] == 16
    if not isinstance(layer, nn.Softmax):
        assert field.size == (16, 24)
        assert field.offset == (0, 0)


def test_channels_last_and_back_keeps_the_field() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 7, padding=3, groups=4)
            self.norm = nn.LayerNorm(4)
            self.mix = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.mix(self.norm(self.conv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    assert receptive_field(nn.Sequential(Block(), Block()), (4, 32, 32)).size == (13, 13)


def test_branches_that_do_not_align_are_reported() -> None:
    class Crooked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fast, self.slow = nn.MaxPool2d(2), nn.Conv2d(1, 1, 9, padding=0)

        def forward(self, x: Tensor) -> Tensor:
            return self.fast(x) + self.slow(x)

    with pytest.raises(ShapeError) as caught:
        receptive_field(Crooked(), (1, 16, 16))
    assert str(caught.value) == (
        "receptive_field: expected branches of equal stride; got Branches of different strides meet at add in forward: "
        "behind it no one receptive field fits."
    )


def test_an_unknown_path_names_the_nearest() -> None:
    with pytest.raises(ShapeError, match="Did you mean 'conv1'"):
        net: Any = nn.Sequential()
        net.add_module("conv1", nn.Conv2d(1, 1, 3))
        receptive_field(net, (1, 8, 8), at="conv2")
