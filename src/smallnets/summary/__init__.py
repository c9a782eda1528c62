"""What a net is made of: sizes, costs and receptive fields, without computing anything."""

# Their rules register themselves.
from . import indexing as indexing
from . import mixing as mixing
from . import views as views
from . import windows as windows
from .receptive import ReceptiveField as ReceptiveField
from .receptive import receptive_field as receptive_field
from .search import min_input_size as min_input_size
from .shortcuts import check_shortcuts as check_shortcuts
from .summarize import summarize as summarize
from .summary import Summary as Summary
