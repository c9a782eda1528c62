"""The README's links, in a clone and on the package index, and its quickstart's results; ``tests/docs`` runs all blocks."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def for_the_index(text: str, repository: str | None) -> str:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str = module.for_the_index(text, repository)
    return found


def test_the_quickstart_leaves_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (code,) = [block for block in blocks if "epochs=20" in block]
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(code.replace("epochs=20", "epochs=3"), names)
    assert "61,706" in capsys.readouterr().out and names["metrics"].accuracy > 0.5
    assert (tmp_path / "curves.png").exists() and (tmp_path / "runs" / "mine" / "best.ckpt").exists()
    again = sn.load(tmp_path / "lenet5.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), names["net"].parameters(), strict=True))


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("http") or (README.parent / target).exists(), target


@pytest.mark.parametrize("repository", [None, "https://example.org/smallnets", "https://example.org/smallnets/"])
def test_no_link_on_the_index_leads_nowhere(repository: str | None) -> None:
    page = for_the_index(README.read_text(), repository)
    assert all(target.startswith(("http", "#")) for target in re.findall(r"\]\(([^)]+)\)", page))
    assert (repository is None) == ("docs/images/demo.png" not in page)


@pytest.mark.parametrize(
    ("link", "without", "shown"),
    [
        ("a [page](docs/a.md#part) b", "a page b", "a [page](https://x.org/r/blob/main/docs/a.md#part) b"),
        ("[folder](docs/how-to)", "folder", "[folder](https://x.org/r/tree/main/docs/how-to)"),
        ("![curves](docs/a.png)", "", "![curves](https://x.org/r/raw/main/docs/a.png)"),
        ("[LICENSE](LICENSE)", "LICENSE", "[LICENSE](https://x.org/r/blob/main/LICENSE)"),
        ("[torch](https://pytorch.org)", "[torch](https://pytorch.org)", "[torch](https://pytorch.org)"),
        ("[below](#more)", "[below](#more)", "[below](#more)"),
    ],
)
def test_a_link_on_the_index(link: str, without: str, shown: str) -> None:
    assert for_the_index(link, None) == without
    assert for_the_index(link, "https://x.org/r") == shown
