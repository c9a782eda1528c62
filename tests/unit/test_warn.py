"""A warning names the line of the user, however deep it comes from."""

import inspect
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets.data import load

QUIET: dict[str, Any] = {"epochs": 1, "progress": False, "device": "cpu", "batch_size": 16}


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def test_one_set_twice() -> None:
    digits = load("digits")[:32]
    with pytest.warns(UserWarning, match="train and val are one set") as caught:
        here = line() + 1
        sn.fit(sn.lenet5(), digits, digits, **QUIET)
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, here)]


def test_a_softmax_at_the_end() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Softmax(1))
    data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
    for call in (sn.fit, sn.find_lr):
        options = QUIET if call is sn.fit else {"device": "cpu", "steps": 10}
        with pytest.warns(UserWarning, match="fit: output-softmax") as caught:
            here = line() + 1
            call(net, data, **options)  # type: ignore[operator]
        assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, here)]
