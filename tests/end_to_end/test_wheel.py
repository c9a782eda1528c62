"""The built wheel, installed into an empty environment, is the whole package."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    files = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == files
    assert {"smallnets/py.typed", "smallnets/__init__.pyi"} <= names
    assert "License-Expression: MIT" in metadata and "License-File: LICENSE" in metadata


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Nothing may be fetched here, so the requirements are lent from this environment, not the package itself."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(install, check=True, env={**os.environ, "PYTHONPATH": ""})
    lent = sysconfig.get_path("purelib")
    clean = {**os.environ, "PYTHONPATH": ""}
    where = "import smallnets, sys; print(smallnets.__file__)"
    site = Path(subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                               capture_output=True, text=True, check=True).stdout.strip())  # fmt: skip
    (site / "lent.pth").write_text(lent + "\n")
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True, env=clean).stdout.strip()
    assert Path(found).is_relative_to(tmp_path / "env")
    command = tmp_path / "env" / "bin" / "smallnets"
    shown = subprocess.run([command, "list"], capture_output=True, text=True, check=True, env=clean).stdout
    assert "lenet5" in shown
    code = "import torch, smallnets as sn; print(tuple(sn.lenet5(weights='digits')(torch.zeros(2, 1, 32, 32)).shape))"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=clean).stdout
    assert shown == "(2, 10)\n"
