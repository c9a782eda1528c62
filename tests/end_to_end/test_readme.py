"""The README's quickstart, as written but for fewer epochs."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn

README = Path(__file__).parents[2] / "README.md"


def test_the_quickstart_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert "epochs=20" in code
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(code.replace("epochs=20", "epochs=3"), names)
    shown = capsys.readouterr().out
    assert "61,706" in shown and names["metrics"].accuracy > 0.5
    assert (tmp_path / "curves.png").exists() and (tmp_path / "runs" / "mine" / "best.ckpt").exists()
    again = sn.load(tmp_path / "lenet5.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), names["net"].parameters(), strict=True))


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("http") or (README.parent / target).exists(), target
