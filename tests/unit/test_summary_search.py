"""The smallest picture, the branches that do not fit, and the memory that training keeps."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import smallnets as sn
from smallnets import check_shortcuts, min_input_size, summarize
from smallnets.errors import ShapeError


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_the_smallest_picture_is_the_first_that_runs(training: bool, batch_size: int) -> None:
    net = nn.Sequential(
        *(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, (3, 2))),
        *(nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    ).train(training)

    def runs(height: int, width: int) -> bool:
        try:
            net(torch.zeros(batch_size, 3, height, width))
        except (RuntimeError, ValueError):
            return False
        return True

    height, width = min_input_size(net, training=training, batch_size=batch_size)
    assert runs(height, width)
    assert not runs(height - 1, width)
    assert not runs(height, width - 1)


def test_resnets_train_on_a_batch_of_one_from_33_pixels() -> None:
    net = torchvision.models.resnet18()
    assert min_input_size(net) == (1, 1)
    assert min_input_size(net, training=True) == (1, 1)
    assert min_input_size(net, training=True, batch_size=1) == (33, 33)


def test_a_net_that_takes_no_picture() -> None:
    with pytest.raises(ShapeError, match="which takes none"):
        min_input_size(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)))


class Residual(nn.Module):
    """A branch and a shortcut that round odd sizes differently."""

    def __init__(self, shortcut: nn.Module, joined: str = "add") -> None:
        super().__init__()
        self.branch, self.shortcut, self.joined = nn.Conv2d(8, 8, 3, 2, 1), shortcut, joined

    def forward(self, x: Tensor) -> Tensor:
        if self.joined == "cat":
            return torch.cat((self.branch(x), self.shortcut(x)), dim=1)
        return self.branch(x) + self.shortcut(x)


def test_odd_sizes_tell_branches_apart() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), Residual(nn.AvgPool2d(2)), Residual(nn.AvgPool2d(2)))
    assert check_shortcuts(net, (3, 32, 32)) == []
    first, second = check_shortcuts(net, (3, 33, 33))
    assert (first.path, second.path) == ("1", "2")
    assert str(first) == "1: add of 2x8x17x17 and 2x8x16x16; PyTorch refuses them."


def test_a_shortcut_that_is_silently_broadcast() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), Residual(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 1, 1))))
    (found,) = check_shortcuts(net, (3, 32, 32))
    assert found.broadcast
    assert str(found) == "1: add of 2x8x16x16 and 2x1x16x16; PyTorch broadcasts them silently."
    to_a_pixel = nn.Sequential(nn.Conv2d(3, 8, 1), Residual(nn.AdaptiveAvgPool2d(1)))
    assert check_shortcuts(to_a_pixel, (3, 32, 32))[0].shapes == ((2, 8, 16, 16), (2, 8, 1, 1))


def test_branches_laid_together_are_checked_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), Residual(nn.AvgPool2d(2), "cat"))
    assert check_shortcuts(net, (3, 32, 32)) == []
    assert "cat of 2x8x17x17 and 2x8x16x16" in str(check_shortcuts(net, (3, 33, 33))[0])


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v3_small", "googlenet"])
def test_published_nets_fit(name: str) -> None:
    kwargs: dict[str, Any] = {"init_weights": False} if name == "googlenet" else {}
    net = torchvision.models.get_model(name, **kwargs)
    assert check_shortcuts(net, (3, 224, 224)) == []
    assert check_shortcuts(net, (3, 97, 111)) == []


def kept_by_autograd(net: nn.Module, picture: Tensor) -> int:
    """What a real forward saves: unique storages without parameters and buffers."""
    owned = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        return kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = net.train()(picture)
    assert out is not None
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in owned)


@pytest.mark.parametrize(("name", "side"), [("alexnet", 224), ("vgg16_bn", 64), ("resnet50", 64), ("densenet121", 64)])
def test_training_memory_is_what_autograd_keeps(name: str, side: int) -> None:
    net = torchvision.models.get_model(name)
    ours = summarize(net, (3, side, side)).training_memory(batch_size=2)
    assert ours == kept_by_autograd(net, torch.rand(2, 3, side, side))


@pytest.mark.parametrize("build", [sn.lenet5, sn.convnet3])
def test_training_memory_of_our_own(build: Any) -> None:
    net = build()
    ours = summarize(net, net.input_size).training_memory(batch_size=3)
    assert ours == kept_by_autograd(net, torch.rand(3, *net.input_size))


def test_training_memory_of_a_batch_that_cannot_train() -> None:
    summary = summarize(nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4)), (1, 2, 2))
    with pytest.raises(ShapeError, match="expected a model that runs in training mode"):
        summary.training_memory(batch_size=1)
