"""``export``: one file, checked against the net before it takes its place."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from ..errors import OptionError, RunError, check_choice, first_line, message
from ..files import whole_file
from ..models.storage import save
from ..weights import as_path, unwrapped
from .formats import to_onnx, to_program
from .whole import Parts, Pictures, parts_of

FORMATS: dict[str, Callable[[Parts], tuple[bytes, Callable[[Tensor], Tensor] | None]]] = {
    ".onnx": to_onnx,
    ".pt2": to_program,
}
COUNTS = (1, 3)  # pictures at a time when the file is checked: neither is what it was traced with


def export(
    net: nn.Module, path: str | os.PathLike[str], *, probabilities: bool = True, pictures: Pictures = "uint8"
) -> None:
    """Write a net as one file that takes pictures as they are and says what is on them, without this library.

    The normalisation by ``net.data_facts`` is inside, batch norms are folded, and any number of pictures may come at a
    time. Classes, shape and normalisation stand in the file too, each as JSON: in an ONNX file's ``metadata_props``,
    in a ``.pt2`` file's extra file ``smallnets.json``. Before the file takes its place it is run (an ONNX file by
    onnxruntime, where that is installed) and its answers are compared with the net's.

    Args:
        net: A net of the zoo, or any module of pictures that PyTorch can export; left as it is.
        path: Ends in ``.onnx`` (needs ``smallnets[export]``), ``.pt2`` (``torch.export.load``), or ``.safetensors``:
            weights only, of a net of the zoo, for ``smallnets.load``; its batch norms stay, for training goes on there.
        probabilities: False gives logits.
        pictures: What the file takes, (N, C, H, W): ``"uint8"`` from 0 to 255, ``"float"`` from 0 to 1, or
            ``"normalised"`` floats, for a net without facts of its data.

    Raises:
        ValueError: When the path has another ending, or the net does not know how its pictures are normalised.
        ImportError: When a package is not installed that ONNX needs.
        RunError: When PyTorch cannot export the net, the file gives other answers than the net, or cannot be written.

    >>> import smallnets as sn, tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sn.export(sn.lenet5(weights="digits"), f"{folder}/net.pt2")
    ...     run = torch.export.load(f"{folder}/net.pt2").module()
    >>> run(torch.zeros(5, 1, 32, 32, dtype=torch.uint8)).shape
    torch.Size([5, 10])
    """
    check_choice("export", "pictures", pictures, get_args(Pictures))
    check_choice("export", "probabilities", probabilities, (True, False))
    if not isinstance(net, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("export", "a net", f"a {type(net).__name__}", "smallnets.load gives that of a run."))
    file, endings = as_path("export", path), (*FORMATS, ".safetensors")
    if file.suffix not in endings:
        raise OptionError(message("export", f"a path that ends in {', '.join(endings)}", repr(file.name)))
    if not file.parent.is_dir():
        raise OptionError(message("export", "a folder to write to", repr(str(file.parent)), "Make it first."))
    if any(tensor.is_meta for tensor in net.state_dict().values()):
        raise OptionError(message("export", "a net with values", "one on the meta device", "Load weights first."))
    inner = unwrapped(net)
    if file.suffix == ".safetensors":
        parts_of(inner, pictures, probabilities)  # which says what the net lacks
        save(inner, file)
        return
    parts = parts_of(inner, pictures, probabilities)
    content, run = FORMATS[file.suffix](parts)
    if run is not None:
        compare(parts, run)
    write(file, content)


def compare(parts: Parts, run: Callable[[Tensor], Tensor]) -> None:
    """Refuse a file that answers otherwise than the net.

    Raises:
        RunError: With the largest difference.
    """
    for count in COUNTS:
        pictures = parts.example(count)
        with torch.no_grad():
            expected = parts.plain(pictures)
        found = run(pictures)
        if found.shape != expected.shape:
            raise RunError(message("export", f"an answer of shape {tuple(expected.shape)}", tuple(found.shape)))
        # Other kernels sum in another order: that is a few millionths of the largest number.
        off, most = (found - expected).abs().max().item(), max(1.0, expected.abs().max().item())
        if not off <= 1e-4 * most:
            advice = "Nothing was written. Are all weights and statistics of the net numbers?"
            raise RunError(message("export", "a file that answers as the net does", f"{off:.3g} more or less", advice))


def write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        advice = "Free some space." if error.errno == errno.ENOSPC else ""
        raise RunError(message("export", f"to write {path}", first_line(error), advice)) from error
