"""The classic convolutional nets for PyTorch: a typed zoo, its shapes, and a small fit and evaluate."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
