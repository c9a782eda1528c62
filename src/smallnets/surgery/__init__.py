"""Changing nets that are built: dense evaluation, folded batch norms, growing, freezing, learning rates by depth."""

from .dense import FullyConvolutional as FullyConvolutional
from .dense import to_fully_convolutional as to_fully_convolutional
from .freezing import freeze as freeze
from .freezing import parameter_groups as parameter_groups
from .fusing import fuse as fuse
from .growing import grow as grow
