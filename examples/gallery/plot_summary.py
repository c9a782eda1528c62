"""
A net drawn to scale
====================

``summarize`` finds every shape without computing anything: the net may even have no weights.
"""

import torch

import smallnets as sn

with torch.device("meta"):  # neither memory nor time
    net = sn.alexnet()
summary = sn.summarize(net, net.input_size)
drawing = summary.plot()

# %%
# The table beside it has a row a layer. ``summary.to_html("alexnet.html")`` writes a page that one can walk through.

print(summary)

# %%
# Where the parameters are, and where the work is: nearly all weights stand in the linear layers, nearly all
# multiply-accumulates (MACs) are those of the convolutions.

for kind in ("Conv2d", "Linear"):
    rows = [row for row in summary.rows if row.type == kind]
    params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
    print(
        f"{kind}: {params / summary.totals.params:.1%} of the parameters, {macs / summary.totals.macs:.1%} of the MACs"
    )
