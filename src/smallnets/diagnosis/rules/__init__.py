"""The rules, a topic a file; importing this puts them all on the list, in the order in which findings are shown."""

from . import parts as parts  # isort: skip
from . import maps as maps  # isort: skip
from . import output as output  # isort: skip
from . import samples as samples  # isort: skip
from . import gradients as gradients  # isort: skip
from . import shortcuts as shortcuts  # isort: skip
from . import order as order  # isort: skip
from . import numbers as numbers  # isort: skip
from . import pictures as pictures  # isort: skip
from . import published as published  # isort: skip
