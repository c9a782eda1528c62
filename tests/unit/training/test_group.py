"""Processes that work together: a lost connection is one sentence, wherever it is noticed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from smallnets import RunError
from smallnets.training.group import Group

CALLS: dict[str, tuple[str, Callable[[Group], Any]]] = {
    "gather": ("all_gather_object", lambda group: group.gather(1)),
    "from_leader": ("broadcast_object_list", lambda group: group.from_leader(1)),
    "sum": ("all_reduce", lambda group: group.sum(torch.zeros(1))),
    "align": ("broadcast", lambda group: group.align(nn.Linear(1, 1))),
    "wait": ("barrier", lambda group: group.wait()),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_lost_connection(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, ask = CALLS[call]

    def lose(*_: Any, **__: Any) -> None:
        raise RuntimeError("[pair.cc:561] Connection closed by peer [127.0.0.1]:41622")

    monkeypatch.setattr(dist, name, lose)
    with pytest.raises(RunError, match="expected all 2 processes to go on; got lost the connection to one"):
        ask(Group(0, 2))
