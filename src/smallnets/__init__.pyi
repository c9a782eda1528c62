# Every public name, once. The package loads each on first use.
from . import data as data
from . import shapes as shapes
from ._version import __version__ as __version__
from .errors import DataError as DataError
from .errors import OptionError as OptionError
from .errors import RunError as RunError
from .errors import ShapeError as ShapeError
from .errors import SmallnetsError as SmallnetsError
from .errors import WeightsError as WeightsError
from .models.base import Net as Net
from .models.convnet import ConvNet3 as ConvNet3
from .models.convnet import convnet3 as convnet3
from .models.lenet import LeNet as LeNet
from .models.lenet import lenet5 as lenet5
from .models.registry import build as build
from .models.registry import list_models as list_models
