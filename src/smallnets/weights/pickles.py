"""PyTorch's own checkpoint files, read without running anything that they ask for."""

import re
import warnings
from pathlib import Path
from typing import Any

import torch

from ..errors import WeightsError, message
from .parallel import ParallelFile


class Ignored:
    """Stands where a file has something that is neither a tensor nor a plain value; it keeps nothing of it.

    Numpy's own classes would rebuild themselves from bytes that nobody has checked.
    """

    def __init__(self, *state: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# What training scripts leave beside the weights: arguments, folders, a best accuracy or a random state from numpy.
NAMES = ("argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath", "numpy.dtype", "numpy.ndarray")
NUMPY_NAMES = [f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")]
IGNORED: list[Any] = [(Ignored, name) for name in (*NAMES, *NUMPY_NAMES)]


def read_pickle(path: Path) -> object:
    """What the file holds, on the CPU; only tensors, plain containers and plain values come out.

    Raises:
        WeightsError: When the file is torn or empty, no checkpoint, or would run code.
    """
    try:
        with torch.serialization.safe_globals(IGNORED), warnings.catch_warnings():
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
