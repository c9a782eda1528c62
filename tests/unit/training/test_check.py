"""What ``fit`` warns of before the first step, and that looking changes nothing."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn

Pair = tuple[Tensor, Tensor]


@pytest.fixture
def pictures() -> Pair:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 3, 8, 8, generator=generator), torch.arange(32) % 4


def net(*end: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4), *end)


def fit(model: nn.Module, pictures: Pair, **options: object) -> sn.History:
    return sn.fit(model, *[pictures], epochs=1, batch_size=8, progress=False, device="cpu", **options)  # type: ignore[arg-type]


def test_it_names_the_mistake_and_its_place(pictures: Pair) -> None:
    with pytest.warns(UserWarning, match="^fit: output-softmax at 5: Return the logits") as told:
        fit(net(nn.Softmax(1)), pictures)
    assert len(told) == 1


def test_a_sound_net_gets_no_warning_and_neither_does_one_that_is_not_checked(pictures: Pair) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(net(), pictures)
        fit(net(nn.Softmax(1)), pictures, check=False)


def test_there_are_three_lines_at_most(pictures: Pair) -> None:
    layer = nn.Conv2d(8, 8, 3, padding=1)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 1, stride=2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), layer, nn.ReLU(), layer, nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(392, 32), nn.Linear(32, 4), nn.Softmax(1)),
    )
    with pytest.warns(UserWarning, match="^fit: ") as told:
        fit(model, pictures)
    assert len(told) == 3
    assert str(told[0].message).startswith("fit: output-softmax at 11")
    assert str(told[2].message) == "fit: and 4 more; smallnets.diagnose(net, size) lists them"


def test_looking_changes_no_weight_and_no_random_number(pictures: Pair) -> None:
    found = []
    for check in (True, False):
        model = nn.Sequential(net(), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 4))
        torch.manual_seed(1)
        history = fit(model, pictures, check=check)
        found.append((history["loss"], model.state_dict(), torch.rand(1)))
    assert found[0][0] == found[1][0] and torch.equal(found[0][2], found[1][2])
    for one, other in zip(found[0][1].values(), found[1][1].values(), strict=True):
        assert torch.equal(one, other)


def test_it_may_change_between_runs(pictures: Pair, tmp_path: Path) -> None:
    fit(net(), pictures, run_dir=tmp_path / "run")
    again = sn.fit(net(), pictures, epochs=1, batch_size=8, progress=False, run_dir=tmp_path / "run", check=False)
    assert len(list(again)) == 1
    with pytest.raises(sn.OptionError, match="check to be one of True, False; got 3"):
        fit(net(), pictures, check=3)
