"""The public face: its names, its cost, its version."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import smallnets as sn


def stub_names() -> list[str]:
    stub = Path(sn.__file__).with_suffix(".pyi").read_text()
    return [
        alias.asname or alias.name
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def test_every_public_name_loads_and_is_listed_once() -> None:
    names = stub_names()
    assert len(names) == len(set(names)) and set(names) <= set(dir(sn))
    for name in names:
        assert getattr(sn, name) is not None


def test_the_version_is_the_packages() -> None:
    assert sn.__version__ == version("smallnets")


def test_importing_costs_little_and_no_torch() -> None:
    code = "import sys; before = set(sys.modules); import smallnets; print(len(set(sys.modules) - before), 'torch' in sys.modules)"
    count, torch = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert torch == "False" and int(count) < 60


def test_a_name_that_there_is_not_costs_no_torch() -> None:
    code = (
        "import sys, smallnets as sn; assert not hasattr(sn, 'vgg16_bn') and not hasattr(sn, '__wrapped__');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shapes_never_import_torch_and_nets_never_torchvision_nor_each_other() -> None:
    code = (
        "import sys, smallnets as sn; sn.shapes.conv_output_size(5, 3); assert 'torch' not in sys.modules;"
        "sn.lenet5(); sn.resnet20(); assert not {'torchvision', 'smallnets.models.vgg'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
