"""What a net makes of one picture, to look at: its maps, its first filters, and where its answer comes from."""

from .examples import Examples as Examples
from .explain import Explanation as Explanation
from .explain import explain as explain
