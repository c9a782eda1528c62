"""A net as one file that other programs run: ONNX, PyTorch's own ``.pt2``, or safetensors."""

from .export import export as export
