"""A Dataset is known again by its samples, whatever its transforms draw."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import smallnets as sn
from smallnets import RunError
from smallnets.training.feed.origin import checksum_of

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "epochs": 1, "check": False}


def made(seed: int, count: int = 200) -> TensorDataset:
    draw = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.randn(count, 1, 4, 4, generator=draw), torch.arange(count) % 2)


class Drawn(Dataset[Any]):
    """The same pictures, each time turned and shifted anew."""

    def __init__(self, data: TensorDataset, own: bool = False) -> None:
        self.data, self.own = data, np.random.default_rng() if own else None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, label = self.data[index]
        shift = random.random() + float(torch.rand(())) + np.random.rand()  # noqa: NPY002
        if self.own is not None:
            shift += self.own.random()
        return picture + shift, int(label)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, lambda x: DataLoader(x, 50), Drawn, lambda x: Drawn(x, own=True)],
    ids=["plain", "loader", "draws", "own draws"],
)
def test_new_data_into_a_finished_run_are_refused_by_name(
    wrap: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sn.fit(net(), wrap(made(0)), run_dir=tmp_path, **QUIET)
    again = sn.fit(net(), wrap(made(0)), run_dir=tmp_path, **{**QUIET, "progress": True})
    assert len(again) == 1
    assert f"fit: the run in {tmp_path} is complete; these are its weights and its history" in capsys.readouterr().err
    labels = TensorDataset(made(0).tensors[0], 1 - made(0).tensors[1])
    others = (
        [labels, made(0, 201)]
        if isinstance(wrap(made(0)), Drawn) and wrap(made(0)).own is not None
        else [made(1), labels]
    )
    for other in others:
        with pytest.raises(RunError, match=r"expected the settings of the run in .*; got .*training set's c"):
            sn.fit(net(), wrap(other), run_dir=tmp_path, **QUIET)
    changed = sn.fit(net(), wrap(others[0]), run_dir=tmp_path, resume="changed", **{**QUIET, "epochs": 2})
    assert len(changed) == 2


def test_another_validation_set_is_noticed(tmp_path: Path) -> None:
    sn.fit(net(), made(0), made(1, 40), run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match="validation set's checksum"):
        sn.fit(net(), made(0), made(2, 40), run_dir=tmp_path, **QUIET)


def test_a_checksum_tells_samples_of_every_kind_apart() -> None:
    class Of(Dataset[Any]):
        def __init__(self, *samples: Any) -> None:
            self.samples = samples

        def __len__(self) -> int:
            return len(self.samples)

        def __getitem__(self, index: int) -> Any:
            return self.samples[index]

    from PIL import Image

    picture = Image.new("L", (2, 2), 7)
    zero = torch.zeros(1, 2, 2)
    several = [
        Of((zero, 0)), Of((zero, 1)), Of((zero + 1, 0)), Of((zero.double(), 0)), Of((zero.view(1, 4, 1), 0)), Of((zero.numpy() + 2, 0)),
        Of({"x": zero}), Of({"y": zero}), Of((picture, 0)), Of((picture.resize((4, 1)), 0)), Of((zero, 0), (zero, 0)),
    ]  # fmt: skip
    assert len({checksum_of(data) for data in several}) == len(several)
    assert [checksum_of(data) for data in several] == [checksum_of(data) for data in several]


def test_reading_leaves_the_generators_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    checksum_of(Drawn(made(0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_folder_that_vanishes_is_said(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    with pytest.raises(
        RunError, match=r"got that its folder is gone. Leave the run folder where it is while fit runs\."
    ):
        sn.fit(net(), made(0), run_dir=folder, callbacks=[lambda row: shutil.rmtree(folder)], **QUIET)


def test_a_run_of_a_version_that_noted_nothing_of_a_dataset_goes_on(tmp_path: Path) -> None:
    sn.fit(net(), made(0), run_dir=tmp_path, **QUIET)
    path = tmp_path / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["data"]["checksum"] = 0
    torch.save(content, path)
    assert len(sn.fit(net(), made(0), run_dir=tmp_path, **QUIET)) == 1


def test_streams_are_known_by_the_names_of_their_pictures(image_folder: Any, tmp_path: Path) -> None:
    root = image_folder()
    stream = sn.data.load(root, size=8, memory_limit=1)
    small = sn.convnet3(2, input_size=8)
    sn.fit(small, stream[10:30], run_dir=tmp_path / "run", workers=0, **QUIET)
    with pytest.raises(RunError, match="training set's checksum"):
        sn.fit(small, stream[[11, 10, *range(12, 30)]], run_dir=tmp_path / "run", workers=0, **QUIET)
