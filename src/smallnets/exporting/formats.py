"""The formats: the bytes of a file, and a way to run them."""

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch import Tensor

from ..errors import RunError, first_line, message
from .whole import Parts

Run = Callable[[Tensor], Tensor]
EXTRA = "smallnets.json"
TRACED = 2  # pictures of the example: of one PyTorch would conclude that there is always one


def to_program(parts: Parts) -> tuple[bytes, Run]:
    """PyTorch's own format, which ``torch.export.load`` reads."""
    with exporting(".pt2"):
        program = torch.export.export(parts.whole, (parts.example(TRACED),), dynamic_shapes=({0: batch()},))
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={EXTRA: json.dumps(parts.about)})
        content = file.getvalue()
        loaded = torch.export.load(io.BytesIO(content)).module()
    return content, loaded


def to_onnx(parts: Parts) -> tuple[bytes, Run | None]:
    """ONNX, whose graph takes ``pictures`` and gives ``probabilities`` or ``logits``; run where onnxruntime is.

    Raises:
        ImportError: When onnx or onnxscript is not installed.
    """
    needs("onnx", "onnxscript")
    with exporting(".onnx"), redirect_stdout(io.StringIO()):  # its own report of progress
        program = torch.onnx.export(
            parts.whole,
            (parts.example(TRACED),),
            input_names=["pictures"],
            output_names=[parts.about["output"]],
            dynamic_shapes=({0: batch()},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        proto: Any = program.model_proto
    for name, value in parts.about.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value)
    content: bytes = proto.SerializeToString()
    importlib.import_module("onnx").checker.check_model(content)
    return content, runner(content)


def runner(content: bytes) -> Run | None:
    """The file under onnxruntime; None where that is not installed."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(pictures: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"pictures": pictures.numpy()})[0])

    return run


def batch() -> Any:
    """The batch dimension, of any length."""
    return torch.export.Dim("batch", min=1)


def needs(*packages: str) -> None:
    missing: list[str] = []
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        advice = "pip install 'smallnets[export]', or take a path that ends in .pt2."
        raise ImportError(message("export", "the packages that ONNX needs", f"no {' and no '.join(missing)}", advice))


@contextmanager
def exporting(suffix: str) -> Generator[None]:
    """Say in one sentence why PyTorch cannot export a net; its warnings are about its own code.

    Raises:
        RunError: Instead of PyTorch's errors.
    """
    try:
        with warnings.catch_warnings(), quiet("torch.onnx", "onnxscript", "torch.export"):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # the forward of a net may do anything
        expected = f"a net that PyTorch can export to {suffix}"
        raise RunError(message("export", expected, first_line(error)[:200])) from error


@contextmanager
def quiet(*names: str) -> Generator[None]:
    """Loggers that say errors only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
