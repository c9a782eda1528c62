"""Reading, recognising, converting and writing weights. No net is known here."""

from .loading import load_checkpoint as load_checkpoint
from .loading import load_weights as load_weights
from .loading import unwrapped as unwrapped
from .meta import Uninitialised as Uninitialised
from .meta import copied_on_meta as copied_on_meta
from .safetensor_files import write_safetensors as write_safetensors
from .sources import FORMAT_KEY as FORMAT_KEY
from .sources import Checkpoint as Checkpoint
from .sources import WeightsLike as WeightsLike
from .sources import read as read
