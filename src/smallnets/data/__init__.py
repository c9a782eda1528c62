"""Labelled pictures: loading, splitting, batched augmentation."""

from .imageset import ImageSet as ImageSet
from .imageset import ImageStream as ImageStream
from .sources import load as load
