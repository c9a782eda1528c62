"""``torch.hub`` entry points: every net of the zoo, and its trained weights.

    net = torch.hub.load("path/to/a/clone", "lenet5", source="local", weights="digits")

Each entry takes its builder's options; ``torch.hub.help`` shows them.
"""

import sys
from pathlib import Path

dependencies = ["torch", "safetensors", "lazy_loader"]

sys.path.insert(0, str(Path(__file__).parent / "src"))  # the clone's own, whatever is installed

from smallnets.models.build import ENTRIES  # noqa: E402 - the path comes first

globals().update({name: entry.builder for name, entry in ENTRIES.items()})
