"""The table: its rows, its costs, its totals, its forms."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import smallnets as sn
from smallnets import Summary, summarize


def rows(model: nn.Module, size: Any, **options: Any) -> list[dict[str, Any]]:
    return summarize(model, size, **options).to_dict()["rows"]


def macs(model: nn.Module, size: Any) -> int:
    return summarize(model, size).totals.macs


def test_a_row_says_all_about_a_layer() -> None:
    row, _ = rows(nn.Sequential(nn.Conv2d(3, 8, (3, 5), (1, 2), (1, 2), (2, 1)), nn.ReLU()), (3, 32, 32), batch_size=4)
    assert row == {
        "path": "0",
        "type": "Conv2d",
        "kind": "module",
        "input": (4, 3, 32, 32),
        "output": (4, 8, 30, 16),
        "kernel_size": (3, 5),
        "stride": (1, 2),
        "padding": (1, 2),
        "dilation": (2, 1),
        "params": 8 * 3 * 15 + 8,
        "macs": 4 * 8 * 30 * 16 * 3 * 15,
        "elementwise": 0,
        "activation_bytes": 4 * 4 * 8 * 30 * 16,
        "receptive_field": (5, 5),
        "jump": (1, 2),
        "offset": (-1, -2),
    }


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.weight, padding=1))
        x = x + x
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def test_functional_calls_are_rows_of_the_module_that_makes_them() -> None:
    summary = summarize(nn.Sequential(Functional()), (3, 8, 8))
    assert [(row.path, row.type) for row in summary.rows] == [
        ("0", "conv2d"),
        ("0", "relu"),
        ("0", "add"),
        ("0", "adaptive_avg_pool2d"),
        ("0", "flatten"),
        ("0.fc", "Linear"),
    ]
    assert summary.rows[0].params == 108
    assert summary.rows[0].macs == 4 * 64 * 27
    assert summary.totals.macs == 4 * 64 * 27 + 8
    assert summary.flops == 2 * summary.totals.macs


@pytest.mark.parametrize(
    ("layer", "size", "expected"),
    [
        (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), (4, 5, 5), 25 * 4 * 3 * 9),
        (nn.Conv2d(4, 6, 3, padding="same", groups=2), (4, 5, 7), 35 * 6 * 2 * 9),
        (nn.Conv1d(2, 3, 5, stride=2), (2, 11), 4 * 3 * 2 * 5),
        (nn.Conv3d(1, 2, 3, padding=1), (1, 4, 4, 4), 64 * 2 * 27),
        (nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), (3, 8, 8), 36 * 4 * 27),
        (nn.LSTM(5, 4, batch_first=True), (3, 5), 3 * 4 * 4 * (5 + 4)),
        (nn.Bilinear(3, 4, 5), [(3,), (4,)], 5 * 3 * 4),
        (nn.MultiheadAttention(8, 2, batch_first=True), [(6, 8)] * 3, 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8),
    ],
)
def test_multiply_accumulates(layer: nn.Module, size: Any, expected: int) -> None:
    wrapped = layer if isinstance(size, list) else nn.Sequential(layer)
    assert macs(wrapped, size) == expected


class Products(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # N 6 8
        scores = x @ x.transpose(1, 2)  # N 6 6
        mixed = torch.einsum("nij,njc->nic", scores, x)
        return scores, mixed, F.scaled_dot_product_attention(x, x, x), torch.baddbmm(x, scores, x)


def test_multiply_accumulates_of_functional_products() -> None:
    one = 6 * 6 * 8
    assert [row["macs"] for row in rows(Products(), (6, 8)) if row["macs"]] == [one, one, 2 * one, one]


def test_same_padding_is_written_as_it_was_given() -> None:
    (row,) = rows(nn.Sequential(nn.Conv2d(1, 1, 4, padding="same")), (1, 9, 9))
    assert (row["padding"], row["output"]) == ("same", (1, 1, 9, 9))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 4, bias=False), nn.Linear(4, 8, bias=False)
        self.decode.weight = nn.Parameter(self.encode.weight.detach().t())
        self.again = nn.Linear(8, 4, bias=False)
        self.again.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.decode(self.encode(x))) + self.encode(x)


def test_shared_parameters_count_once_in_the_totals() -> None:
    summary = summarize(Tied(), (8,))
    assert [row.params for row in summary.rows] == [32, 32, 32, 32, 0]
    assert summary.totals.params == 64
    assert summary.totals.macs == 4 * 32


def test_a_reused_module_has_a_row_for_each_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.conv(self.relu(self.conv(x))))

    summary = summarize(Twice(), (1, 8, 8))
    assert [row.path for row in summary.rows] == ["conv", "relu", "conv", "relu"]
    assert [row.receptive_field for row in summary.rows] == [(3, 3), (3, 3), (5, 5), (5, 5)]
    assert summary.totals.params == 10
    # What a ReLU overwrites in place is there already.
    assert summary.totals.activation_bytes == 2 * 64 * 4


def test_frozen_parameters() -> None:
    net = sn.lenet5()
    for parameter in net.features.parameters():
        parameter.requires_grad = False
    totals = summarize(net, (1, 32, 32)).totals
    assert (totals.params, totals.frozen, totals.trainable) == (61_706, 2_572, 59_134)


class Several(nn.Module):
    """Two inputs, one of them by name; a plain tensor, an index, a helper object; dicts out."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.full((1, 3, 1, 1), 2.0)
        self.order = [torch.tensor([2, 0, 1])]
        self.conv = nn.Conv2d(3, 4, 3)
        self.call = self.convolve

    def convolve(self, x: Tensor) -> Tensor:
        return self.conv(x)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor | list[Tensor]]:
        x = x[:, self.order[0]] * self.scale + torch.arange(8, device=x.device)
        if int(self.order[0][0]) == 2 and torch.zeros(3).sum().item() == 0:
            x = x * (1 if mask is None else mask)
        return {"map": self.call(x), "parts": list(x.split(4, dim=3))}


def test_several_inputs_dicts_out_and_plain_tensors() -> None:
    for size in ([(3, 8, 8), (1, 8, 8)], {"x": (3, 8, 8), "mask": (1, 8, 8)}):
        summary = summarize(Several(), size)
        assert summary.failure is None
        conv = next(row for row in summary.rows if row.macs)
        assert (conv.path, conv.output) == ("conv", (1, 4, 6, 6))
        assert next(row for row in summary.rows if row.type == "split").output == ((1, 3, 8, 4), (1, 3, 8, 4))


def test_a_tensor_stands_for_its_shape_and_type() -> None:
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    summary = summarize(net, torch.zeros(2, 7, dtype=torch.long))
    assert summary.rows[-1].output == (2, 7, 2)


def test_a_half_precision_net_has_half_the_bytes() -> None:
    full, half = sn.lenet5(), sn.lenet5().half()
    assert (
        2 * summarize(half, (1, 32, 32)).totals.activation_bytes == summarize(full, (1, 32, 32)).totals.activation_bytes
    )


def test_a_net_without_weights() -> None:
    with torch.device("meta"):
        net = sn.lenet5()
    assert summarize(net, (1, 32, 32)).totals.macs == 416_520


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarize(sn.lenet5(), (1, 32, 32))


def test_json_is_the_dict(summary: Summary, tmp_path: Path) -> None:
    text = summary.to_json(tmp_path / "net.json")
    assert json.loads((tmp_path / "net.json").read_text()) == json.loads(text)
    assert json.loads(text)["totals"]["macs"] == 416_520
    assert json.loads(text)["rows"][0]["output"] == [1, 6, 28, 28]


def test_csv_has_a_line_a_row(summary: Summary, tmp_path: Path) -> None:
    summary.to_csv(tmp_path / "net.csv")
    lines = list(csv.DictReader((tmp_path / "net.csv").read_text().splitlines()))
    assert len(lines) == len(summary.rows)
    assert (lines[0]["output"], lines[0]["kernel_size"], lines[1]["kernel_size"]) == ("1x6x28x28", "5x5", "")


def test_pandas_has_the_rows(summary: Summary) -> None:
    frame = summary.to_pandas()
    assert frame["macs"].sum() == 416_520
    assert frame["path"][0] == "features.0"


TABLE = """
lenet5 on 1x32x32
───────────────────────────────────────────────────────────────────────
layer                       output  kernel  params    MACs  field  jump
───────────────────────────────────────────────────────────────────────
features  Sequential
  0  Conv2d              1x6x28x28     5x5     156   118 k      5     1
  1  ReLU                1x6x28x28                              5     1
  2  MaxPool2d           1x6x14x14   2x2/2                      6     2
  3  Conv2d             1x16x10x10     5x5   2,416   240 k     14     2
  4  ReLU               1x16x10x10                             14     2
  5  MaxPool2d            1x16x5x5   2x2/2                     16     4
· flatten                    1x400                             16     4
classifier  Sequential
  0  Linear                  1x120          48,120    48 k     32     4
  1  ReLU                    1x120                             32     4
  2  Linear                   1x84          10,164  10.1 k     32     4
  3  ReLU                     1x84                             32     4
  4  Linear                   1x10             850     840     32     4
───────────────────────────────────────────────────────────────────────
parameters   61,706 (241 KiB)
MACs         416,520 (417 k); elementwise operations 8.08 k
activations  31.6 KiB; input 4 KiB
"""


def test_the_printed_table(summary: Summary) -> None:
    assert str(summary) == TABLE.strip("\n")


@pytest.mark.parametrize("depth", [1, 60])
def test_the_table_is_at_most_120_columns_wide(depth: int) -> None:
    net: nn.Module = nn.Conv2d(3, 3, 1)
    for level in range(depth):
        net = nn.Sequential()
        net.add_module(f"a_rather_long_name_of_level_{level}", nn.Sequential(nn.Conv2d(3, 3, 1)))
    for _ in range(depth):
        net = nn.Sequential(net)
    assert max(map(len, str(summarize(net, (3, 1000, 1000))).splitlines())) <= 120


def test_diff_names_what_was_added_removed_and_changed() -> None:
    def net(width: int, act: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, width, 3), act, nn.Conv2d(width, 4, 1))

    plain = summarize(net(4, nn.ReLU()), (3, 8, 8))
    wide = summarize(nn.Sequential(*net(8, nn.GELU()), nn.MaxPool2d(2)), (3, 8, 8))
    diff = plain.diff(wide)
    assert [row.path for row in diff.added] == ["3"]
    assert [change.after.path for change in diff.changed] == ["0", "1", "2"]
    assert (diff.params, diff.macs) == (4 * 28 + 4 * 4, 36 * (4 * 27 + 4 * 4))
    assert [row.path for row in wide.diff(plain).removed] == ["3"]
    assert not plain.diff(plain)
    assert "~ 1 ReLU -> GELU" in str(diff)
    assert str(diff).endswith("in all: +128 parameters, +4,464 MACs")


def test_diff_finds_an_inserted_layer_where_it_is() -> None:
    def net(*more: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *more, nn.Flatten(), nn.Linear(8 * 64, 2))

    diff = summarize(net(), (3, 8, 8)).diff(summarize(net(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()), (3, 8, 8)))
    assert sorted(row.type for row in diff.added) == ["Conv2d", "ReLU"]
    assert not diff.removed
    assert not diff.changed
    assert diff.params == sum(row.params for row in diff.added) == 8 * 73
