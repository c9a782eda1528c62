"""The list of rules: every rule of the contract, with examples that run."""

import pytest
import torch

from smallnets import Diagnosis, diagnose
from smallnets.diagnosis.registry import RULES, Rule, example

_NAMES = """
    output-softmax output-activation output-size does-not-run unregistered-module unused-module no-gradient
    zero-gradient frozen mixes-samples flatten-batch random-in-eval broadcast-shortcut shortcut-always-projects
    shortcut-rectified wide-bottleneck no-shortcut bias-before-norm norm-of-one-value missing-nonlinearity
    dropout-at-output dropout-before-norm symmetric-initialisation vanishing exploding dead-units initial-loss
    map-too-small input-too-small field-smaller-than-picture repeated-cells skips-pixels shared-module
    inplace-under-hooks near-published not-normalised constant-channel labels-outside one-class channel-order
    range-0-255
"""
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def found(code: str) -> Diagnosis:
    torch.manual_seed(0)
    case = example(code)
    size = None if case["data"] is not None else case["size"]
    return diagnose(case["net"], size, num_classes=10, data=case["data"])


def test_every_rule_of_the_contract_is_there() -> None:
    assert set(RULES) == set(_NAMES.split())


@rules
def test_its_faulty_example_has_it(rule: Rule) -> None:
    assert rule.name in {finding.rule for finding in found(rule.faulty)}


@rules
def test_its_sound_example_does_not(rule: Rule) -> None:
    diagnosis = found(rule.sound)
    assert rule.name not in {finding.rule for finding in diagnosis}
    assert not diagnosis, str(diagnosis)


@rules
def test_its_words_are_whole(rule: Rule) -> None:
    for text in (rule.looks_for, rule.why, rule.look.__doc__):
        assert text is not None and text.endswith(".") and text[0].isupper()
