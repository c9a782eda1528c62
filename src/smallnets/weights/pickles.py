"""PyTorch's own checkpoint files, read without running anything that they ask for."""

import argparse
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import WeightsError, message
from .parallel import ParallelFile

# What training scripts put beside the weights and what only holds values: arguments, and a best accuracy from numpy.
NUMPY_SCALAR = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *((NUMPY_SCALAR, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
]


def read_pickle(path: Path) -> object:
    """What the file holds, on the CPU; only tensors, plain containers and plain values are let in.

    Raises:
        WeightsError: When the file is torn or empty, no checkpoint, or would run code.
    """
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: what cannot be read is refused below
            with path.open("rb") as file:
                zipped = file.read(2) == b"PK"  # older files are a plain pickle, which makes many small reads
            source: Any = ParallelFile(path) if zipped else path.open("rb")
            with source:
                return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a file from outside can fail in any way that a parser can
        raise refused(path, str(error)) from None


def refused(path: Path, reason: str) -> WeightsError:
    """One line out of PyTorch's many."""
    with path.open("rb") as file:
        start = file.read(16)
    called = re.search(r"GLOBAL ([\w.]+)", reason)
    again = "Copy or download it again."
    if called:
        got = f"a pickle that calls {called[1]}, which was not run"
        advice = "Ask its author for a state dict or a safetensors file."
    elif "TorchScript" in reason:
        got, advice = "a TorchScript archive, which is a program", "Save the state dict of its module instead."
    elif not start:
        got, advice = "an empty file", again
    elif start.startswith((b"PK", b"\x80")):
        got, advice = "one that is torn", again
    else:
        got, advice = f"a file of another format, which begins {start!r}", again
    return WeightsError(message(path.name, "a whole PyTorch checkpoint of tensors", got, advice))
