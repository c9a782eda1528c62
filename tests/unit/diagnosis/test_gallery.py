"""Every faulty net is found by the right rule in the right place, and no sound twin is."""

import pytest
import torch

from diagnose_gallery import CASES, Case
from diagnose_variants import SOUND, VARIANTS
from smallnets.diagnosis import diagnose

ALL = [*CASES, *VARIANTS]
NAMES = [f"{case.rule}-{number}" for number, case in enumerate(ALL)]


@pytest.mark.parametrize("case", ALL, ids=NAMES)
def test_the_fault_is_found(case: Case) -> None:
    torch.manual_seed(0)
    found = diagnose(case.faulty(), case.size, **case.options)
    told = [finding for finding in found if finding.rule == case.rule]
    assert told, str(found)
    assert told[0].severity == case.severity
    if case.path is not None:
        assert case.path in [finding.path for finding in told], str(found)


@pytest.mark.parametrize("case", ALL, ids=NAMES)
def test_the_sound_twin_is_not(case: Case) -> None:
    torch.manual_seed(0)
    found = diagnose(case.sound(), case.size, **case.options)
    assert not found, str(found)
    assert case.rule not in {finding.rule for finding in found} or case.severity == "note", str(found)


@pytest.mark.parametrize("style", SOUND)
def test_sound_nets_of_many_styles_are_not(style: str) -> None:
    torch.manual_seed(0)
    found = diagnose(SOUND[style](), (3, 16, 16))
    assert not found, str(found)
