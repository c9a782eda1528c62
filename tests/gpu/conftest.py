"""The device that these tests run on: a GPU, or with ``--device cpu`` the processor, as a rehearsal."""

import os
import warnings
from collections.abc import Iterator

import pytest
import torch

# Before the first matrix product: deterministic kernels ask for it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where to run; full fp32 arithmetic, and threads as torch has them for the references on the CPU."""
    wanted = str(request.config.getoption("--device"))
    if wanted == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here; --device cpu is a rehearsal")
    before = torch.backends.cudnn.allow_tf32
    set_tf32(False)
    try:
        yield wanted
    finally:
        set_tf32(before)


def set_tf32(allowed: bool) -> None:
    """Some releases of torch warn of the setting's name, others have no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.cudnn.allow_tf32 = allowed


@pytest.fixture
def cuda(device: str) -> str:
    """A GPU and nothing else."""
    if device != "cuda":
        pytest.skip("of a GPU only")
    return device
