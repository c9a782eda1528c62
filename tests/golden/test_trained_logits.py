"""The trained nets of the package say of generated pictures what they said when they were shipped."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn

SPEC = importlib.util.spec_from_file_location("trained_logits", Path(__file__).with_name("trained_logits.py"))
assert SPEC is not None and SPEC.loader is not None
written: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in sn.pretrained()])
def test_a_shipped_net_says_what_it_said(one: sn.TrainedNet) -> None:
    """Through the file's own facts and, of bytes, through ``predict``."""
    noted = torch.tensor(json.loads(written.FILE.read_text())[one.name])
    torch.testing.assert_close(written.logits(one), noted, atol=1e-3, rtol=1e-3)
    found = sn.predict(one.name, written.pictures(*sn.load(one.path).input_size), precision="fp32")
    torch.testing.assert_close(found.probabilities, noted.softmax(dim=1), atol=1e-3, rtol=1e-3)
