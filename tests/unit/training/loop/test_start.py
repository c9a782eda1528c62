"""The way into a run: data are read once, and what was looked at is trained on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import smallnets as sn
from smallnets import DataError, OptionError
from smallnets.facts import DataFacts
from smallnets.training.feed.origin import KNOWN_BY

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "check": False}


class Counting(Dataset[tuple[Tensor, int]]):
    def __init__(self, count: int = 200) -> None:
        self.count, self.read = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.read += 1
        return torch.full((1, 8, 8), float(index)), index % 4


class Started(DataLoader[Any]):
    starts = 0

    def __iter__(self) -> Any:
        self.starts += 1
        return super().__iter__()


def net(classes: int = 4) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


@pytest.mark.parametrize("options", [{}, {"augment": "crop"}, {"precision": "fp32"}, {"accumulate": 2}])
def test_a_dataset_is_read_once_an_epoch(options: dict[str, Any], tmp_path: Path) -> None:
    data, val = Counting(), Counting(60)
    sn.fit(net(), data, val, epochs=2, **options, **QUIET)
    assert data.read == 400
    assert val.read == 2 * 60 + 1  # one more, for it is looked at before the first epoch
    data, val = Counting(), Counting(60)
    sn.fit(net(), data, val, epochs=2, run_dir=tmp_path, **options, **QUIET)
    assert data.read == 400 + 2 * KNOWN_BY and val.read == 2 * 60 + 1 + 2 * KNOWN_BY  # a run knows its data again
    sn.fit(net(), data, epochs=2, run_dir=tmp_path, resume="changed", **options, **QUIET)
    assert data.read <= 528 + 4 * KNOWN_BY  # a run that is complete looks at a batch, whether it is that run's


def test_a_loader_is_started_once_an_epoch() -> None:
    loaders = [Started(Counting(), batch_size=32, shuffle=True), Started(Counting(60), batch_size=32)]
    sn.fit(net(), *loaders, epochs=3, **QUIET)
    assert [loader.starts for loader in loaders] == [3, 3]
    assert loaders[0].dataset.read == 600  # type: ignore[attr-defined]
    loaders[1].starts = 0
    sn.evaluate(net(), loaders[1], device="cpu")
    assert loaders[1].starts == 1


def test_what_was_looked_at_is_trained_on() -> None:
    """Each epoch sees every sample once, the first like the others."""
    seen: list[int] = []

    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                seen.extend(x[:, 0, 0, 0].int().tolist())
            return self.net(x)

    sn.fit(Looking(), Counting(), epochs=2, batch_size=32, **QUIET)
    assert sorted(seen[:200]) == sorted(seen[200:]) == list(range(200)) and seen[:200] != seen[200:]


def test_labels_that_come_a_batch_at_a_time_are_checked_from_the_first_on() -> None:
    for data in (Counting(), DataLoader(Counting(), batch_size=32)):
        with pytest.raises(DataError, match=r"fit: expected labels from 0 to 2; got \d+ outside, the first 3"):
            sn.fit(net(3), data, **QUIET)


def test_a_loader_is_left_alone_when_the_start_fails() -> None:
    given = torch.Generator().manual_seed(5)
    before = given.get_state()
    loader = DataLoader(Counting(), batch_size=32, shuffle=True, generator=given)
    frozen = net().requires_grad_(False)
    for model, error in ((frozen, OptionError), (nn.Linear(3, 3), OptionError)):
        with pytest.raises(error):
            sn.fit(model, loader, **QUIET)
        assert torch.equal(given.get_state(), before)


def test_a_loader_with_batches_of_its_own_kind_is_taken_as_validation() -> None:
    def collate(samples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        return torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples])

    loader = Started(Counting(60), batch_size=32, collate_fn=collate)
    assert sn.fit(net(), Counting(), loader, epochs=2, **QUIET)["val_loss"][1] is not None
    assert loader.starts == 2


class Three(Counting):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3, 8, 8), index % 4


WRONG: list[Any] = [Three(), DataLoader(Three(), batch_size=32), (torch.zeros(8, 3, 8, 8), torch.arange(8) % 4)]


@pytest.mark.parametrize("data", WRONG, ids=["dataset", "loader", "pair"])
def test_pictures_of_other_channels_are_refused_before_the_first_step(data: Any) -> None:
    text = "expected 1-channel pictures for this net; got three-channel .colour. pictures. Build the net with in_chan"
    model = sn.convnet3(4, in_channels=1)
    calls = [lambda: sn.fit(model, data, **QUIET), lambda: sn.evaluate(model, data, device="cpu")]
    calls += [lambda: sn.fit(model, Counting(), data, callbacks=[lambda row: 1 / 0], **QUIET)]
    for call in calls:
        with pytest.raises(DataError, match=text):
            call()


def test_the_facts_of_the_data_stay_with_the_net() -> None:
    digits = sn.data.load("digits")[:64]
    model = sn.lenet5()
    sn.fit(model, digits, epochs=1, **QUIET)
    facts: DataFacts = model.data_facts  # type: ignore[assignment]
    assert facts == DataFacts(digits.classes, 1, (32, 32), digits.mean, digits.std, "digits")
    assert DataFacts.from_dict(facts.to_dict()) == facts and "data_facts" not in model.state_dict()
    bare = digits.images, digits.labels
    assert sn.evaluate(model, bare).loss == sn.evaluate(model, digits).loss  # by the training set's mean and std
    plain = net()
    sn.fit(plain, Counting(), epochs=1, **QUIET)
    assert plain.data_facts == DataFacts(channels=1, size=(8, 8))  # type: ignore[comparison-overlap]


def test_a_writer_of_tensorboard_is_not_left_open_when_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from smallnets.training.loop import display

    opened: list[str] = []
    monkeypatch.setattr(display, "tensorboard", lambda options: lambda: opened.append("writer"))
    with pytest.raises(OptionError, match="parameters to train"):
        sn.fit(net().requires_grad_(False), Counting(), tensorboard=True, **QUIET)
    assert not opened
