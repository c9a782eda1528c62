"""The built wheel, installed into an empty environment, is the whole package; so is one built from the source archive."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def built(tree: Path, target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    return next(folder.glob("*.whl" if target == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, as one finds it after ``tar xf``."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built(ROOT, "sdist", folder)) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def test_the_source_archive_gives_the_same_wheel_to_the_byte(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    assert built(unpacked, "wheel", tmp_path).read_bytes() == wheel.read_bytes()


def test_who_has_the_source_archive_has_what_the_commands_read(unpacked: Path) -> None:
    """Every file that git knows is there, but for what only the repository's own services read."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    known = {
        name for name in listed.splitlines() if (ROOT / name).exists() and not name.startswith((".ci/", ".github/"))
    }
    missing = {name for name in known if not (unpacked / name).exists()}
    assert missing == set()


def test_the_version_is_said_once(wheel: Path) -> None:
    """The file that holds it names the wheel; what cannot read that file says the same."""
    version = re.fullmatch(r'__version__ = "(.+)"\n', (ROOT / "src/smallnets/_version.py").read_text())
    assert version and wheel.name == f"smallnets-{version[1]}-py3-none-any.whl"
    assert f"version: {version[1]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


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
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
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
    command = programs / "smallnets"
    shown = subprocess.run([command, "list"], capture_output=True, text=True, check=True, env=clean).stdout
    assert "lenet5" in shown
    code = "import torch, smallnets as sn; print(tuple(sn.lenet5(weights='digits')(torch.zeros(2, 1, 32, 32)).shape))"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=clean).stdout
    assert shown == "(2, 10)\n"
