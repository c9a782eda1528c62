"""PyTorch's own checkpoint files, read without running anything that they ask for."""

import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import SmallnetsError, WeightsError, memory_told, message
from ..wording import forbidden_call, is_program
from .seals import check_zip


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
MOST_PICKLED = 1 << 28  # bytes of names and plain values, of which a real checkpoint has a few million at most
# What PyTorch lets a pickle call and what can fill the memory from a few bytes: zeros by their number, and codecs
# that make more of what they are given, over and over. Texts stand behind their length, of four bytes or of one.
ZEROS = re.compile(rb"builtin(?:s|__)\nbytearray\n")
ENCODES = re.compile(rb"_codecs\nencode\n")
GROWING = ("hex", "base64", "base_64", "quopri", "quoted_printable", "quotedprintable", "uu", "bz2", "zip", "zlib")
CODECS = [name.encode() for short in GROWING for name in (short, f"{short}_codec", short.replace("_", "-"))]
GROWS = re.compile(
    b"|".join(
        re.escape(bytes([kind, len(name)]) + zeros + name)
        for name in CODECS
        for kind, zeros in ((88, bytes(3)), (85, b""))
    ),
    re.IGNORECASE,
)


def read_pickle(path: Path) -> object:
    """What the file holds, on the CPU, in the file until it is copied; only tensors, containers and plain values.

    Raises:
        WeightsError: When the file is torn, empty or changed, no checkpoint, or would run code.
    """
    try:
        with memory_told(path.name, "its tensors"):
            return unpickled(path)
    except SmallnetsError:
        raise
    except Exception as error:  # a file from outside can fail in any way that a parser can
        raise refused(path, forbidden_call(error), is_program(error)) from None


def unpickled(path: Path) -> object:
    """``read_pickle``, with the errors of whatever parser it is."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"  # older files are a plain pickle, which cannot be mapped
    if zipped:
        refuse_packed(path)
        check_zip(path)
    else:
        refuse_bombs(path, pickles_of(path))
    with torch.serialization.safe_globals(IGNORED), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols: what cannot be read is refused
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def refuse_packed(path: Path) -> None:
    """Say no to compressed entries: PyTorch writes none and maps them as they are, and a small one unpacks to much."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            return  # a TorchScript archive, which is refused as what it is
        packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            got, advice = f"compressed entries, first {packed[0][:60]!r}", "Save it again with torch.save."
            raise WeightsError(message(path.name, "a checkpoint as PyTorch writes it", got, advice))
        for entry in entries:
            if "/data/" not in entry.filename and entry.file_size > MOST_PICKLED:
                raise ValueError("an entry that is too large")
            if entry.filename.endswith(".pkl"):
                refuse_bombs(path, archive.read(entry))


def pickles_of(path: Path) -> bytes:
    """The five pickles with which an older file begins, without the numbers behind them."""
    with path.open("rb") as file:
        start = io.BytesIO(file.read(MOST_PICKLED))
    for _ in range(5):
        for _ in pickletools.genops(start):
            pass
    return start.getvalue()[: start.tell()]


def refuse_bombs(path: Path, pickled: bytes) -> None:
    """Say no to a pickle that would make much out of little."""
    encodes = ENCODES.search(pickled) and GROWS.search(pickled)
    if encodes or ZEROS.search(pickled):
        raise refused(path, "_codecs.encode" if encodes else "builtins.bytearray")


def refused(path: Path, called: str | None, program: bool = False) -> WeightsError:
    """What to say of a file, by what it would have called, or that it is a program, or else by how it begins."""
    with path.open("rb") as file:
        start = file.read(16)
    if path.suffix in (".pt2", ".onnx"):
        got, advice = "an exported program", "Save the net itself beside it: smallnets.save(net, path)."
        return WeightsError(message(path.name, "a file of weights", got, advice))
    again = "Copy or download it again."
    if called:
        got = f"a pickle that calls {called}, which was not run"
        advice = "Ask its author for a state dict or a safetensors file."
    elif program:
        got, advice = "a TorchScript archive, which is a program", "Save the state dict of its module instead."
    elif not start:
        got, advice = "an empty file", again
    elif start.startswith((b"PK", b"\x80")):
        got, advice = "one that is torn", again
    else:
        got, advice = f"a file of another format, which begins {start!r}", again
    return WeightsError(message(path.name, "a whole PyTorch checkpoint of tensors", got, advice))
