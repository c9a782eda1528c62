"""Reading, recognising, converting and writing weights. No net is known here."""

from .loading import load_checkpoint as load_checkpoint
from .loading import load_weights as load_weights
from .loading import unwrapped as unwrapped
from .meta import Uninitialised as Uninitialised
from .net_files import read_net as read_net
from .net_files import write_net as write_net
from .paths import as_path as as_path
from .sources import Checkpoint as Checkpoint
from .sources import WeightsLike as WeightsLike
