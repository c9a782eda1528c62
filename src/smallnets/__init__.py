"""The classic convolutional nets for PyTorch: a typed zoo, its shapes, and a small fit and evaluate."""

import lazy_loader as _lazy

_load, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name in __all__ or name.startswith("_"):
        return _load(name)
    from .models.names import advice  # no torch, and neither is difflib's time spent before a name is wrong

    raise AttributeError(f"smallnets has no {name!r}. {advice(name, __all__)}".rstrip(), name=name)
