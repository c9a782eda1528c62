"""Tables of predictions are shown by a spreadsheet, not run."""

import csv
from pathlib import Path

import pytest
import torch

import smallnets as sn
from smallnets.training.predict import write_rows

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\uff1d1", "\n=1"]
PLAIN = ["cat", "a=b", "-3", "+4.5", "12", "", "'quoted", "caf\u00e9"]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", [*FORMULAS, *PLAIN])
def test_a_formula_is_text(name: str, raw: bool, tmp_path: Path) -> None:
    found = sn.Predictions((name,), torch.tensor([0]), torch.tensor([[1.0]]), (name or "x",))
    found.to_csv(tmp_path / "a.csv", raw=raw)
    assert write_rows(iter([found]), tmp_path / "b.csv", raw=raw) == 1
    wanted = f"'{name}" if name in FORMULAS and not raw else name
    for rows in (rows_of(tmp_path / "a.csv"), rows_of(tmp_path / "b.csv")):
        assert rows[1][:2] == [wanted, wanted or "x"] and rows[0][:2] == ["id", "predicted"]


def test_a_column_that_is_a_formula_is_text(tmp_path: Path) -> None:
    found = sn.Predictions(("a",), torch.tensor([0]), torch.tensor([[1.0]]), ("=cat",))
    write_rows(iter([found]), tmp_path / "b.csv", ["id", "=cat"])
    assert rows_of(tmp_path / "b.csv") == [["id", "'=cat"], ["a", "1.000000"]]


def test_columns_are_those_that_are_asked_for_sorted_by_id_all_the_same(tmp_path: Path) -> None:
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    found = sn.Predictions(("10.png", "9.png"), shares.argmax(1), shares, ("cat", "=dog"))
    for columns in (["=dog", "id"], ["predicted"], None):
        found.to_csv(tmp_path / "a.csv", columns=columns)
        in_order = sn.Predictions(("9.png", "10.png"), shares.argmax(1).flip(0), shares.flip(0), found.classes)
        write_rows(iter([in_order]), tmp_path / "b.csv", columns)
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    found.to_csv(tmp_path / "a.csv", columns=["=dog", "id"], raw=True)
    assert rows_of(tmp_path / "a.csv") == [["=dog", "id"], ["0.000000", "9.png"], ["0.750000", "10.png"]]
    with pytest.raises(sn.OptionError, match="every column to be one of 'id', 'predicted', 'cat', '=dog'; got 'dgo'"):
        found.to_csv(tmp_path / "c.csv", columns=["id", "dgo"])
    assert not (tmp_path / "c.csv").exists()


def test_what_utf8_has_not_is_escaped(tmp_path: Path) -> None:
    found = sn.Predictions(("\udcff",), torch.tensor([0]), torch.tensor([[1.0]]), ("cat",))
    found.to_csv(tmp_path / "a.csv")
    write_rows(iter([found]), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert "\\udcff" in (tmp_path / "a.csv").read_text()


def test_a_link_in_the_place_of_the_table_is_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    found = sn.Predictions(("a",), torch.tensor([0]), torch.tensor([[1.0]]), ("cat",))
    for write in (found.to_csv, lambda path: write_rows(iter([found]), path)):
        (tmp_path / "a.csv").symlink_to(precious)
        write(tmp_path / "a.csv")
        assert precious.read_text() == "mine" and not (tmp_path / "a.csv").is_symlink()
        (tmp_path / "a.csv").unlink()


def test_a_full_disk_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sn.Predictions(("a",), torch.tensor([0]), torch.tensor([[1.0]]), ("cat",))
    found.to_csv(tmp_path / "a.csv")
    old = (tmp_path / "a.csv").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smallnets.files.sync", full)
    row = {"epoch": 1, "loss": 0.5, "accuracy": 0.8}
    summary = sn.summarize(sn.lenet5(), (1, 32, 32))
    history = sn.History([row])  # type: ignore[list-item]
    for write in (found.to_csv, history.to_csv, summary.to_csv, summary.to_json, summary.to_html):
        with pytest.raises(sn.RunError, match=r"to write .*\. Free some space; the old a\.csv is untouched"):
            write(tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_bytes() == old
    with pytest.raises(sn.RunError, match=r"to write .*\. Free some space; nothing was left behind"):
        summary.plot(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
