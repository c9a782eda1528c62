"""Evaluation gives the same digits on any number of threads, and leaves their number as it was."""

from collections.abc import Generator

import pytest
import torch

import smallnets as sn
from smallnets.training.plan import threads


@pytest.fixture(autouse=True)
def as_found() -> Generator[None, None, None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def on_threads(net: torch.nn.Module, count: int, data: tuple[torch.Tensor, torch.Tensor], batch_size: int) -> float:
    torch.set_num_threads(count)
    loss = sn.evaluate(net, data, batch_size=batch_size, precision="fp32").loss
    assert torch.get_num_threads() == count
    return loss


SMALL = [("lenet5", 1), ("convnet3", 3), ("resnet20", 3)]
LARGE = [("resnet50", 3), ("vgg11", 3)]
CASES = [(*net, *sizes) for net in SMALL for sizes in ((71, 64), (103, 103), (15, 4), (1, 1))]
CASES += [(*net, *sizes) for net in LARGE for sizes in ((15, 15), (15, 4), (1, 1))]


@pytest.mark.parametrize(("name", "channels", "pictures", "batch_size"), CASES)
def test_the_loss_does_not_go_by_the_threads(name: str, channels: int, pictures: int, batch_size: int) -> None:
    torch.manual_seed(0)
    options = {"resnet50": {"stem": "cifar"}, "vgg11": {"head": "linear", "num_classes": 10}}.get(name, {})
    net = sn.build(name, **options)  # type: ignore[call-overload]
    data = torch.randn(pictures, channels, 32, 32), torch.arange(pictures) % 10
    found = {count: on_threads(net, count, data, batch_size) for count in (1, 2, 3, 8)}
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("width", [84, 100, 120])
def test_nor_do_the_probabilities_after_a_small_matrix_product(width: int) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(512, width))
    pictures = torch.randn(71, 1, 16, 32)  # enough pixels for all threads, but not for the product
    found = []
    for count in (1, 2, 3, 4, 8):
        torch.set_num_threads(count)
        found.append(sn.predict(net, pictures, precision="fp32").probabilities)
    assert all(torch.equal(found[0], other) for other in found)


def test_hooks_and_threads_are_given_back_also_after_an_error() -> None:
    net = sn.lenet5()
    torch.set_num_threads(3)
    with pytest.raises(ZeroDivisionError), threads.steady_threads(net, torch.device("cpu")) as next_batch:
        next_batch(torch.zeros(1, 1, 32, 32))
        assert torch.get_num_threads() == 1
        next_batch(torch.zeros(32, 1, 32, 32))
        assert torch.get_num_threads() == 3
        net(torch.zeros(32, 1, 32, 32))  # its linear layers are small: one thread for them alone
        assert torch.get_num_threads() == 3
        _ = 1 / 0
    assert torch.get_num_threads() == 3
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_compiled_net_is_not_compiled_anew_around_hooks() -> None:
    net = torch.compile(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)), backend="eager")
    with threads.steady_threads(net, torch.device("cpu")):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
