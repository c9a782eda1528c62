"""The page of the rules of ``diagnose``, a rule a section."""

from smallnets import diagnose
from smallnets.diagnosis.registry import RULES, Rule, example

HEAD = """\
# What `diagnose` looks for

Made from the list of rules by `docs/write_reference.py`. In the examples `torch`, `nn` and `F` are PyTorch's;
`Net(forward, conv=..., fc=...)` is a module with these layers whose forward is that function of the module and the
pictures. Pictures are 3x8x8 unless `size` says otherwise, and there are 10 classes.

An error will not learn or gives wrong numbers; a warning learns worse or costs for nothing; a note is worth knowing.
"""


def section(rule: Rule) -> str:
    case = example(rule.faulty)
    size = None if case["data"] is not None else case["size"]
    told = [one for one in diagnose(case["net"], size, num_classes=10, data=case["data"]) if one.rule == rule.name]
    told = told[:1]
    lines = [f"## {rule.name}", "", f"*{rule.severity.capitalize()}.* {rule.looks_for}", ""]
    lines += ["```python", source(rule.faulty), "```", ""]
    lines += [f"> {one.advice}" for one in told] + ["", "Without it:", ""]
    lines += ["```python", source(rule.sound), "```", "", f"**Why it hurts.** {rule.why}"]
    if rule.source:
        lines[-1] += f" ({rule.source})"
    lines += ["", f"**How it is found.** {rule.look.__doc__}" + (" `fit` looks for it, too." if rule.cheap else "")]
    if rule.on_purpose:
        lines += ["", f"**When it is right.** {rule.on_purpose}"]
    return "\n".join(lines) + "\n"


def source(code: str) -> str:
    return code if " = " in code.splitlines()[0].split("(")[0] else f"net = {code}"


def page() -> str:
    import torch

    torch.manual_seed(0)
    return HEAD + "".join("\n" + section(rule) for rule in RULES.values())
