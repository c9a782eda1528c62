"""Averaged weights: the formula, and the memory that a captured update writes to."""

import torch
from torch import nn

from smallnets.training.loop.average import Average


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_an_update_moves_floats_a_share_of_the_way_and_copies_counts() -> None:
    model = net()
    average = Average(model, 0.75)
    before = {name: tensor.clone() for name, tensor in average.tensors.items()}
    for tensor in model.state_dict().values():
        tensor.add_(4)
    average.update(model)
    for name, tensor in model.state_dict().items():
        expected = before[name] + 1 if tensor.is_floating_point() else tensor
        torch.testing.assert_close(average.tensors[name], expected)


def test_swapping_twice_changes_nothing_and_stays_where_it_is() -> None:
    model = net()
    average = Average(model, 0.5)
    for tensor in model.state_dict().values():
        tensor.add_(1)
    ours = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    theirs = {name: tensor.clone() for name, tensor in average.tensors.items()}
    places = {name: tensor.data_ptr() for name, tensor in average.tensors.items()}
    average.swap(model)
    assert all(torch.equal(model.state_dict()[name], theirs[name]) for name in theirs)
    assert all(torch.equal(average.tensors[name], ours[name]) for name in ours)
    average.swap(model)
    assert all(torch.equal(model.state_dict()[name], ours[name]) for name in ours)
    assert {name: tensor.data_ptr() for name, tensor in average.tensors.items()} == places


def test_a_net_without_floats_is_left_alone() -> None:
    model = nn.Module()
    model.register_buffer("count", torch.tensor(1))
    average = Average(model, 0.5)
    model.count.add_(1)  # type: ignore[operator,union-attr]
    average.update(model)
    assert int(average.tensors["count"]) == 2
