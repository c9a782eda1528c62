"""Runs side by side: figures as the runs have them, seeds together, and broken folders told."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets.experiments.compare import labels


def make_run(folder: Path, accuracy: float | None, epochs: int = 3, net: str = "lenet5", watched: bool = False) -> Path:
    folder.mkdir(parents=True)
    rows = ["epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds,images_per_second"]
    rows += [f"{epoch},1.5,0.5,1.4,0.{epoch},0.1,2.0,{100 * epoch}.0" for epoch in range(1, epochs + 1)]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    config = {"net": {"class": "x.LeNet", "config": {"name": net}}, "options": {}, "data": {"shape": [1, 32, 32]}}
    (folder / "config.json").write_text(json.dumps(config))
    if accuracy is not None:
        report = {"test_accuracy": accuracy, "parameters": 5, "macs": 7, "watched": watched}
        (folder / "report.json").write_text(json.dumps(report))
    return folder


def test_seeds_are_one_line_with_mean_and_spread(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.7, 0.8, 0.9)):
        make_run(tmp_path / "many" / f"seed-{seed}", accuracy)
    make_run(tmp_path / "one", 0.5)
    found = sn.compare(tmp_path / "many", tmp_path / "one")
    many, one = found.to_dict()
    assert (
        many["runs"] == 3 and many["test_accuracy"] == pytest.approx(0.8) and many["test_spread"] == pytest.approx(0.1)
    )
    assert one == {
        "run": "one", "net": "lenet5", "runs": 1, "epochs": 3, "test_accuracy": 0.5, "test_spread": None,
        "val_accuracy": 0.3, "seconds": 6.0, "parameters": 5, "macs": 7, "images_per_second": 200.0,
    }  # fmt: skip
    assert "0.8000 ± 0.1000" in str(found) and "±" in str(found).splitlines()[-1]
    found.to_csv(tmp_path / "table.csv")
    assert [row["run"] for row in csv.DictReader((tmp_path / "table.csv").read_text().splitlines())] == ["many", "one"]
    assert json.loads(found.to_json())[0]["runs"] == 3
    assert "<td>one</td>" in found._repr_html_()


def test_a_folder_of_runs_is_all_of_them(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "x", 0.5)
    make_run(tmp_path / "a" / "x" / "start", 0.4)  # a run inside a run is its own affair
    make_run(tmp_path / "b" / "x", None, net="convnet3")
    (tmp_path / "c").mkdir()
    found = sn.compare(tmp_path)
    assert [line.label for line in found] == ["a/x", "b/x"]
    assert found.to_dict()[1]["test_accuracy"] is None


def test_costs_of_a_run_without_report_come_from_its_net(tmp_path: Path) -> None:
    found = sn.compare(make_run(tmp_path / "x", None)).to_dict()[0]
    assert (found["parameters"], found["macs"]) == (61_706, 416_520)


def test_a_test_that_was_watched_is_no_validation(tmp_path: Path) -> None:
    assert sn.compare(make_run(tmp_path / "x", 0.5, watched=True)).to_dict()[0]["val_accuracy"] is None


def test_runs_of_ones_own_nets(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    data, held_out = ((torch.randn(8, 1, 8, 8), torch.arange(8) % 2) for _ in range(2))
    history = sn.fit(
        net, data, held_out, epochs=2, batch_size=4, run_dir=tmp_path / "mine", progress=False, device="cpu"
    )
    folder, kept = sn.compare(tmp_path / "mine", history).to_dict()
    assert folder["net"] == "Sequential" and folder["epochs"] == 2 and folder["parameters"] == 130
    assert folder["val_accuracy"] == kept["val_accuracy"] and kept["run"] == "run 2"
    assert kept["seconds"] == pytest.approx(folder["seconds"])


def test_curves_of_all_are_one_picture(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / "many" / f"seed-{seed}", 0.7)
    make_run(tmp_path / "short", None, epochs=1)
    figure = sn.compare(tmp_path).plot(tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 5000
    accuracy = figure.axes[1]
    assert {line.get_label() for line in accuracy.get_lines()} >= {"many", "short"}
    assert [line.get_ydata().tolist() for line in accuracy.get_lines() if line.get_marker() == "*"] == [[0.7, 0.7]]


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(sn.OptionError, match="at least one run; got none"):
        sn.compare()
    with pytest.raises(sn.RunError, match=r"compare: expected the folder of a run; got .*nowhere"):
        sn.compare(tmp_path / "nowhere")
    with pytest.raises(sn.RunError, match=r"expected the folder of a run; got no metrics.csv in"):
        sn.compare(tmp_path)
    run = make_run(tmp_path / "x", 0.5)
    (tmp_path / "comparison.csv").write_text("")  # as a sweep leaves beside its runs
    with pytest.raises(sn.RunError, match=r"got a file, '.*comparison.csv'. Name the folder around it, .*\*/\.$"):
        sn.compare(*sorted(tmp_path.iterdir()))
    for name, text in (("report.json", "{"), ("config.json", "[]"), ("metrics.csv", "epoch,loss\n1,x\n")):
        broken = tmp_path / name.replace(".", "-")
        shutil.copytree(run, broken)
        (broken / name).write_text(text)
        with pytest.raises(sn.RunError, match=r"expected a (whole run|report) in .*; got a broken file"):
            sn.compare(broken)
    (run / "metrics.csv").write_text((run / "metrics.csv").read_text().splitlines()[0] + "\n")
    with pytest.raises(sn.RunError, match="expected runs of at least one epoch; got none yet in"):
        sn.compare(run)


def test_what_runs_of_a_line_do_not_share_is_noted(tmp_path: Path) -> None:
    make_run(tmp_path / "many" / "seed-0", 0.7)
    make_run(tmp_path / "many" / "seed-1", None, epochs=2)
    found = sn.compare(tmp_path / "many")
    notes = ["many: runs of 2 to 3 epochs.", "many: the test accuracy is that of 1 of 2 runs."]
    assert found.notes == notes and str(found).splitlines()[-2:] == notes
    assert found.to_markdown().endswith(notes[1]) and notes[0] in found._repr_html_()


def test_a_history_with_some_of_the_columns(tmp_path: Path) -> None:
    found = sn.compare(sn.History([{"epoch": 1, "loss": 0.5, "accuracy": 0.8}]))  # type: ignore[typeddict-item]
    assert found.to_dict()[0]["seconds"] is None and found.to_dict()[0]["images_per_second"] is None
    assert "run 1" in str(found)
    found.plot(tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("config.json", '{"net": 3, "options": 1, "data": 2}', "net in config.json is no table"),
        ("report.json", '{"test_accuracy": "x"}', "test_accuracy is no number"),
        ("report.json", '{"parameters": [1], "macs": 3}', "parameters is no number"),
    ],
)
def test_files_with_other_things_in_them(tmp_path: Path, name: str, text: str, told: str) -> None:
    run = make_run(tmp_path / "x", 0.5)
    (run / name).write_text(text)
    with pytest.raises(sn.RunError, match=rf"expected .* in .*x.*; got a broken file \({told}\)"):
        sn.compare(run)


def test_a_report_of_half_the_costs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "x", None)
    (run / "report.json").write_text('{"macs": 1}')
    assert sn.compare(run).to_dict()[0]["parameters"] == 61_706


@pytest.mark.parametrize(
    ("link", "target", "names"),
    [
        ("a/self", ".", {"x", "y"}),
        ("a/up", "..", {"x", "y"}),
        ("a/other", "../b", {"x", "other/y", "b/y"}),
        ("a/run", "../b/y", {"x", "run", "y"}),
    ],
)  # one link each: without the guard the names would go forty links deep, and not without end
def test_links_are_followed_but_not_in_circles(tmp_path: Path, link: str, target: str, names: set[str]) -> None:
    make_run(tmp_path / "a" / "x", 0.5)
    make_run(tmp_path / "b" / "y", 0.6)
    (tmp_path / link).symlink_to(target, target_is_directory=True)
    assert {line.label for line in sn.compare(tmp_path)} == names


def test_a_link_takes_no_run_out_of_its_line(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path / "many" / f"seed-{seed}", 0.5 + seed / 10)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "seed-2").symlink_to("../many/seed-2", target_is_directory=True)
    assert {line.label: line.to_dict()["runs"] for line in sn.compare(tmp_path)} == {"best": 1, "many": 3}


def test_labels_tell_apart() -> None:
    assert labels([Path("a/run"), Path("b/run")]) == ["a/run", "b/run"]
    assert labels([Path("run"), Path("run")]) == ["run", "run"]
    assert labels([Path("my-run"), Path("run")]) == ["my-run", "run"]
