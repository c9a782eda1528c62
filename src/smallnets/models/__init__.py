"""The zoo: one paper, one file. Importing the package fills the registry."""

from . import convnet as convnet
from . import lenet as lenet
