"""What a type checker knows of sizes and summaries."""

from typing import assert_type

from torch import nn

import smallnets as sn
from smallnets.shapes import Pair, adaptive_pool_windows, conv_output_size, pool_output_size, smallest_input_size

assert_type(conv_output_size(32, 5), int)
assert_type(conv_output_size((32, 24), 5, padding="same"), Pair)
assert_type(pool_output_size(32, 2, ceil_mode=True), int)
assert_type(smallest_input_size((1, 1), 3, stride=2), Pair)
assert_type(adaptive_pool_windows(7, 3), tuple[Pair, ...])

summary = sn.summarize(nn.Conv2d(3, 8, 3), (3, 32, 32))
assert_type(summary, sn.Summary)
assert_type(summary.totals.macs, int)
assert_type(summary.failure, str | None)
assert_type(sn.min_input_size(nn.Conv2d(3, 8, 3)), tuple[int, int])
assert_type(sn.receptive_field(nn.Conv2d(3, 8, 3), (3, 32, 32)), sn.ReceptiveField)
