"""``diagnose`` beside torchtest2 and torch-audit on the tests' gallery of faulty nets and their sound twins.

    python benchmarks/diagnose.py [--json benchmarks/diagnose.json]

Needs torchtest2 and torch-audit (pip install --no-deps torchtest2 torch-audit, and rich). A fault is found where
something is said of the faulty net that is not said of its twin: a symptom counts, warnings, hints and the error that
its forward raises, too. The cause is named where the check that says it is about that mistake (``CAUSES``), the place
where the module's path is in what it says. A false alarm is a sound twin with an error or a failed check, and for
torch-audit and ``diagnose`` also with a warning; torch-audit's hints about hardware and optimizers count for nothing.
Everyone gets the same batch of noise, and ``diagnose`` its own. The seconds are those of one thread, both twins.
"""

import argparse
import importlib.metadata
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import smallnets as sn  # noqa: E402
from diagnose_gallery import CASES, Case  # noqa: E402

Said = tuple[str, str, bool]  # which check, all its words, whether it is an alarm
BATCH = 16
_CAUSES = """
    forward                does-not-run input-too-small
    raises                 does-not-run input-too-small inplace-under-hooks
    output_shape           output-size flatten-batch
    output_range           output-softmax output-activation
    output_finite          exploding
    output_varies          vanishing zero-gradient
    eval_determinism       random-in-eval
    initial_loss           initial-loss output-softmax
    optimizer_coverage     unregistered-module
    gradient_flow          no-gradient zero-gradient unused-module
    gradient_magnitude     vanishing exploding
    params_change          no-gradient zero-gradient unused-module frozen
    frozen_params          frozen
    input_dependency       no-gradient zero-gradient
    batch_independence     mixes-samples flatten-batch
    TA100                  exploding
    TA102                  exploding
    TA103                  zero-gradient dead-units
    TA104                  no-gradient frozen
    TA105                  dead-units
    TA304                  norm-of-one-value
    TA400                  bias-before-norm
    TA405                  symmetric-initialisation
    TA500                  unused-module
    TA501                  shared-module
"""
CAUSES = {words[0]: set(words[1:]) for words in map(str.split, _CAUSES.strip().splitlines())}
IDLE = ("TA2", "TA40")  # hardware and optimizers, but TA400 and TA405


def batch(case: Case, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, *case.size, generator=generator), torch.arange(BATCH) % classes


def by_torchtest2(net: nn.Module, case: Case, classes: int) -> list[Said]:
    import torchtest2

    images, labels = batch(case, classes)
    shape = (BATCH, classes) if "num_classes" in case.options else None
    report = torchtest2.check_model(net, images, labels, loss_fn=F.cross_entropy, output_shape=shape)
    alarming = [result for result in report.results if result.status.name in ("FAIL", "WARN")]
    return [(one.name, f"{one.message} {one.details}", one.status.name == "FAIL") for one in alarming]


def by_torch_audit(net: nn.Module, case: Case, classes: int) -> list[Said]:
    from torch_audit import audit_dynamic

    images, labels = batch(case, classes)
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters or [torch.zeros(1, requires_grad=True)], lr=0.01)
    said: list[Said] = []
    with audit_dynamic(net, optimizer=optimizer, every_n_steps=1, reporters=[]) as auditor:
        try:
            for _ in range(2):
                optimizer.zero_grad()
                loss = F.cross_entropy(auditor.forward(images), labels)
                auditor.backward(loss)
                auditor.optimizer_step()
        except Exception as error:
            said.append(("raises", str(error), True))
    for one in auditor.finish(report=False).findings:
        if not one.rule_id.startswith(IDLE) or one.rule_id in ("TA400", "TA405"):
            alarm = one.severity.value != "INFO" and one.rule_id != "TA400"  # a bias before a norm is a note here
            said.append((one.rule_id, f"{one.message} {one.module_path} {one.entity}", alarm))
    return said


def by_diagnose(net: nn.Module, case: Case, classes: int) -> list[Said]:
    found = sn.diagnose(net, case.size, **case.options)
    return [(one.rule, f"'{one.path}' {one.advice}", one.severity != "note") for one in found]


TOOLS: dict[str, Callable[[nn.Module, Case, int], list[Said]]] = {
    "diagnose": by_diagnose,
    "torchtest2": by_torchtest2,
    "torch-audit": by_torch_audit,
}


def logits(case: Case) -> int:
    """How many classes a case has: its sound net's."""
    with torch.no_grad():
        return int(case.sound().eval()(torch.zeros(2, *case.size)).shape[1])


def judged(tool: str, case: Case) -> dict[str, Any]:
    """What one tool says of a faulty net and of its twin."""
    classes, said, seconds = logits(case), {}, 0.0
    for name, make in (("faulty", case.faulty), ("sound", case.sound)):
        torch.manual_seed(0)
        net = make()
        start = time.process_time()
        try:
            said[name] = TOOLS[tool](net, case, classes)
        except Exception as error:
            said[name] = [("raises", str(error), True)]
        seconds += time.process_time() - start
    known = {check for check, _, _ in said["sound"]}
    new = [(check, words) for check, words, _ in said["faulty"] if check not in known]
    caused = [words for check, words in new if case.rule in CAUSES.get(check, {check})]
    return {
        "rule": case.rule,
        "path": case.path,
        "found": bool(new),
        "cause": bool(caused),
        "place": any(named(case.path, words) for _, words in new),
        "false_alarm": sorted({check for check, _, alarm in said["sound"] if alarm}),
        "said": sorted({check for check, _ in new}),
        "seconds": seconds,
    }


def named(path: str | None, words: str) -> bool:
    """Whether a place is in what was said; the net as a whole needs no name."""
    said = f" {words} "
    plain = not (path or "").isdigit() and f" {path} " in said
    return not path or f"'{path}'" in said or f"'{path}." in said or f" {path}." in said or plain


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    lines = [f"{'':<12}{'found':>8}{'cause':>8}{'place':>8}{'false alarms':>14}{'seconds':>9}   of {len(CASES)}"]
    for tool, rows in results.items():
        counts = [sum(bool(row[key]) for row in rows) for key in ("found", "cause", "place", "false_alarm")]
        cells = f"{counts[0]:>8}{counts[1]:>8}{counts[2]:>8}{counts[3]:>14}"
        lines.append(f"{tool:<12}{cells}{sum(row['seconds'] for row in rows):>9.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results: dict[str, list[dict[str, Any]]] = {}
    for tool in TOOLS:
        results[tool] = []
        for number, case in enumerate(CASES):
            results[tool].append(judged(tool, case))
            print(f"\r{tool} {number + 1} of {len(CASES)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    packages = {name: importlib.metadata.version(name) for name in ("torch", "torchtest2", "torch-audit")}
    versions = {"python": platform.python_version(), **packages}
    options.json.write_text(json.dumps({"versions": versions, "cases": len(CASES), "tools": results}, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
