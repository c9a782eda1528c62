"""Labelled pictures: loading, splitting, batched augmentation.

- ``load``: a named set, an image folder or a zip of one, as an ``ImageSet``, or as an ``ImageStream`` when it is too
  large for memory.
- ``ImageSet``: pictures in memory: ``images``, ``labels``, ``classes``, ``ids``, ``mean``, ``std``; ``split`` it,
  choose from it by index, ``plot`` it, take its batches with ``loader``.
- ``ImageStream``: the same face without ``images``; read from disk as it is needed.
- ``splits``: which splits an image folder or a zip has.
- ``class_map``: the labels of one class list in another, by name.

>>> load("digits")
ImageSet('digits', 1438 pictures, 1x32x32, 10 classes)
"""

from .classes import class_map as class_map
from .folders import splits as splits
from .imageset import ImageSet as ImageSet
from .sources import load as load
from .stream import ImageStream as ImageStream

__all__ = ["ImageSet", "ImageStream", "class_map", "load", "splits"]
