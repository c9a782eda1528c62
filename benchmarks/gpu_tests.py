"""Correctness: the tests that are marked ``gpu``, and what each of them said."""

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from gpu_common import Settings, write_json

ROOT = Path(__file__).resolve().parents[1]


def tests(settings: Settings) -> None:
    """Run them and write a row a failure, and one of counts."""
    xml = settings.out / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(ROOT / "tests" / "gpu"), f"--junitxml={xml}"]
    command += ["-p", "no:cacheprovider", "--tb=short", f"--device={settings.device}"]
    if settings.quick:
        command += ["-k", "lenet5 or every_way_trains and sgd or what_cannot"]
    elif importlib.util.find_spec("xdist") is not None:
        command += ["-p", "xdist.plugin", "-n", "6", "--dist", "worksteal"]
    # Whatever plugins a machine has: one that warns is an error here.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    write_json(settings.out / "tests.json", rows_of(xml) if xml.exists() else {"pytest": {"error": done.returncode}})


def rows_of(xml: Path) -> dict[str, Any]:
    """Counts, and for what did not pass: what pytest says of it."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    rows: dict[str, Any] = {"counts": counts}
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            counts["failed"] += 1
            rows[name] = {"error": (bad.get("message") or "")[:300], "trace": (bad.text or "")[-3000:]}
        elif skipped is not None:
            counts["skipped"] += 1
            rows[name] = {"skipped": skipped.get("message")}
        else:
            counts["passed"] += 1
    return rows
