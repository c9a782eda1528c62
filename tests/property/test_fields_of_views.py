"""Fields through views, blocks, writes and statistics: every case against the pixels that a real run looks at."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from smallnets import receptive_field, summarize

SIDE = 16


class Between(nn.Module):
    """A function between two 3x3 convolutions."""

    def __init__(self, function: Callable[[Tensor], Tensor], channels: int = 4) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(channels, 2, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.function(self.before(x)))


def masked(x: Tensor) -> Tensor:
    x = x.clone()
    x[x < 0] = 0
    return x


def laid_in(x: Tensor) -> Tensor:
    y = torch.zeros(x.shape)
    y[:, :2] = x[:, 2:]
    y[:, 2:] += x[:, :2]
    return y


def shifted(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :, 1:] = x[:, :, :-1]
    return y


def row_by_row(x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    for row in range(x.shape[2]):
        y[:, :, row] = x[:, :, row].sigmoid()
    return y


def blocks(x: Tensor, size: int = 2) -> Tensor:
    n, c, h, w = x.shape
    x = x.view(n, c, h // size, size, w // size, size).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(n, c * size * size, h // size, w // size)


def blocks_and_back(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return blocks(x).view(n, c, 2, 2, h // 2, w // 2).permute(0, 1, 4, 2, 5, 3).reshape(x.shape)


CASES: dict[str, tuple[Callable[[Tensor], Tensor], int, tuple[int, int]]] = {
    "where": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), 4, (5, 5)),
    "cat zeros": (lambda x: torch.cat((x, torch.zeros_like(x)), 1), 8, (5, 5)),
    "logsumexp": (lambda x: x - torch.logsumexp(x, 1, keepdim=True), 4, (5, 5)),
    "var_mean": (lambda x: x * torch.var_mean(x, 1, keepdim=True)[0], 4, (5, 5)),
    "topk": (lambda x: x.topk(2, 1).values, 2, (5, 5)),
    "sort": (lambda x: x.sort(1, descending=True).values, 4, (5, 5)),
    "full_like": (lambda x: x + torch.full_like(x, 2), 4, (5, 5)),
    "masked": (masked, 4, (5, 5)),
    "laid in": (laid_in, 4, (5, 5)),
    "shifted": (shifted, 4, (6, 5)),
    "row by row": (row_by_row, 4, (5, 5)),
    "rows stacked": (lambda x: torch.stack([x[:, :, i] for i in range(SIDE)], 2), 4, (5, 5)),
    "roll channels": (lambda x: x.roll(1, 1), 4, (5, 5)),
    "index channels": (lambda x: x[:, [3, 1, 2, 0]], 4, (5, 5)),
    "index_select": (lambda x: x.index_select(1, torch.tensor([3, 1, 2, 0])), 4, (5, 5)),
    "every other row": (lambda x: x.index_select(2, torch.arange(0, SIDE, 2)), 4, (7, 5)),
    "subsampled": (lambda x: x[:, :, ::2, ::2], 4, (7, 7)),
    "repeated": (lambda x: x[:, :, ::2].repeat_interleave(2, 2), 4, (5, 5)),
    "expanded": (lambda x: x + x.mean(1, keepdim=True).expand(-1, 4, -1, -1), 4, (5, 5)),
    "blocks": (blocks, 16, (8, 8)),
    "blocks and back": (blocks_and_back, 4, (5, 5)),
    "unfold": (lambda x: F.unfold(x, 3, padding=1).view(x.shape[0], 36, SIDE, SIDE), 36, (7, 7)),
    "unfold and fold": (lambda x: F.fold(F.unfold(x, 3, padding=1), (SIDE, SIDE), 3, padding=1), 4, (5, 5)),
    "circular": (lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"), 4, (5, 5)),
    "normalize": (lambda x: F.normalize(x, dim=1), 4, (5, 5)),
    "einsum": (lambda x: torch.einsum("nchw,cd->ndhw", x, torch.ones(4, 4, device=x.device)), 4, (5, 5)),
    "one hot": (lambda x: x * F.one_hot(x.argmax(1), 4).movedim(-1, 1), 4, (5, 5)),
    "scatter": (lambda x: torch.zeros_like(x).scatter(1, x.argmax(1, True), 1.0) * x, 4, (5, 5)),
    "glu": (lambda x: F.glu(x, 1), 2, (5, 5)),
    "squeezed": (lambda x: x.unsqueeze(1).squeeze_(1).relu(), 4, (5, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_field_is_told_exactly(name: str) -> None:
    function, channels, size = CASES[name]
    net = Between(function, channels)
    assert receptive_field(net, (3, SIDE, SIDE)).size == size
    assert summarize(net, (3, SIDE, SIDE)).notes == ()


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("circular", "repeated")])
def test_a_real_run_looks_at_no_pixel_outside_the_field(name: str) -> None:
    function, channels, _ = CASES[name]
    torch.manual_seed(0)
    net = Between(function, channels)
    (height, width), (down, right), (top, left) = receptive_field(net, (3, SIDE, SIDE))
    x = torch.randn(1, 3, SIDE, SIDE, requires_grad=True)
    out = net(x)
    for i in range(0, out.shape[2], 3):
        for j in range(0, out.shape[3], 3):
            (grad,) = torch.autograd.grad(out[0, :, i, j].sum(), x, retain_graph=True)
            for _, _, row, column in grad.nonzero().tolist():
                assert 0 <= row - (top + i * down) < height
                assert 0 <= column - (left + j * right) < width


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("roll", lambda x: x.roll(1, 2)),
        ("flip", lambda x: x.flip(3)),
        ("index", lambda x: x[:, :, [5, 1, 2, 9]]),
        ("cat", lambda x: torch.cat((x, x), dim=-1)),
        ("grid_sampler_2d", lambda x: F.grid_sample(x, torch.zeros(1, 4, 4, 2, device=x.device), align_corners=False)),
    ],
)
def test_where_the_whole_input_is_said_for_want_of_better_it_is_named(name: str, function: Any) -> None:
    summary = summarize(Between(function), (3, SIDE, SIDE))
    assert summary.notes == (
        f"The receptive field is not followed through {name} in forward: behind it the whole input is taken.",
    )


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(48, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 3, 5, 1, 2, 4).contiguous()
        return self.conv(x.view(n, c * 16, h // 4, w // 4))


def test_space_to_depth_by_a_view() -> None:
    assert receptive_field(Stem(), (3, 32, 32)) == ((12, 12), (4, 4), (-4, -4))


@pytest.mark.parametrize("name", ["swin_t", "vit_b_16", "maxvit_t"])
def test_attention_sees_the_whole_input(name: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name)
    summary = summarize(net, (3, 224, 224))
    assert receptive_field(net, (3, 224, 224)).size == (224, 224)
    assert summary.failure is None


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("both", [False, True])
def test_recurrence_over_columns_sees_the_whole_input(kind: Any, both: bool) -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.reads = nn.Conv2d(1, 4, 3, padding=1), kind(32, 6, batch_first=True, bidirectional=both)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            out: Tensor = self.reads(x.permute(0, 3, 1, 2).flatten(2))[0]
            return out

    assert receptive_field(Reads(), (1, 8, 12)).size == (8, 12)


def test_a_mixer_sees_the_whole_input() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.mix, self.last = nn.Conv2d(3, 8, 4, 4), nn.Linear(16, 16), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x).flatten(2)
            return self.last(self.mix(x).transpose(1, 2))

    assert receptive_field(Mixer(), (3, 16, 16)).size == (16, 16)
