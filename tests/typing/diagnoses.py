"""What a type checker knows of a diagnosis."""

from typing import assert_type

from torch import nn

import smallnets as sn

found = sn.diagnose(nn.Linear(8, 3), (8,), num_classes=3, loss=nn.CrossEntropyLoss())
assert_type(found, sn.Diagnosis)
assert_type(found.findings, tuple[sn.Finding, ...])
assert_type(found.to_html(), str)
for one in found:
    assert_type(one, sn.Finding)
    assert_type(one.path, str)
sn.diagnose(nn.Linear(8, 3), (8,), loss="nll")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
