"""``requirements/tested.txt`` pins what ``pyproject.toml`` asks for, so that a bad release of another package spoils no demo."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = [
    Requirement(line)
    for lines in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        PROJECT["dependency-groups"]["dev"],
    )
    for line in lines
]
PINS = dict(
    line.split("==")
    for line in (ROOT / "requirements" / "tested.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)


@pytest.mark.parametrize("wanted", [wanted for wanted in WANTED if wanted.name != "smallnets"], ids=str)
def test_what_is_asked_for_has_a_tested_version_within_its_bounds(wanted: Requirement) -> None:
    pin = {canonicalize_name(name): pin for name, pin in PINS.items()}.get(canonicalize_name(wanted.name))
    assert pin, f"{wanted.name} has no tested version: run the suite, then `make lock`"
    assert wanted.specifier.contains(pin), f"{wanted} does not allow the tested {pin}"


def test_pins_are_exact_and_of_every_machine() -> None:
    """A build such as ``2.13.0+cpu`` is on one index alone; libraries for a GPU come with the torch that needs them."""
    for name, pin in PINS.items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name) and Version(pin).local is None
        assert not name.startswith(("nvidia", "cuda", "triton"))
