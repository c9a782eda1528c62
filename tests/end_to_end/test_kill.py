"""Killed at any moment and started again, a run ends bit for bit as if nothing had happened."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def kill() -> ModuleType:
    """The benchmark, which does this 200 times."""
    path = Path(__file__).parents[2] / "benchmarks" / "kill.py"
    spec = importlib.util.spec_from_file_location("kill", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sigkill_at_random_moments(kill: ModuleType, tmp_path: Path) -> None:
    found = kill.campaign(tmp_path, kills=4)
    assert found["kills"] == 4 and found["identical"] == found["runs"] >= 1


def test_the_comparison_notices_a_single_bit(kill: ModuleType) -> None:
    one = {"model": {"w": torch.ones(3)}, "history": [{"loss": 0.5}]}
    assert not kill.differences(one, {"model": {"w": torch.ones(3)}, "history": [{"loss": 0.5}]})
    assert kill.differences(one, {"model": {"w": torch.ones(3)}, "history": [{"loss": 0.5 + 1e-16 * 2}]})
    other = torch.ones(3)
    other.view(torch.int32)[1] ^= 1
    assert kill.differences(one, {"model": {"w": other}, "history": [{"loss": 0.5}]})
