"""The device that these tests run on: a GPU, or with ``--device cpu`` the processor, as a rehearsal."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where to run; full fp32 arithmetic, and threads as torch has them for the references on the CPU."""
    wanted = str(request.config.getoption("--device"))
    if wanted == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here; --device cpu is a rehearsal")
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield wanted
    finally:
        torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def cuda(device: str) -> str:
    """A GPU and nothing else."""
    if device != "cuda":
        pytest.skip("of a GPU only")
    return device
