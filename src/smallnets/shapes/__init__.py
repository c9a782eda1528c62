"""The arithmetic of feature maps: integers in, integers out, PyTorch's rules and limits, no torch."""

from .convolution import conv_output_size as conv_output_size
from .convolution import conv_transpose_output_size as conv_transpose_output_size
from .convolution import same_padding as same_padding
from .inverse import smallest_input_size as smallest_input_size
from .pooling import adaptive_pool_windows as adaptive_pool_windows
from .pooling import pool_output_size as pool_output_size
from .sides import Pair as Pair
from .sides import Size as Size
