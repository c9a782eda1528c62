"""What training and measuring do to a GPU, seen without one: fake tensors know their device and every copy is noted."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import smallnets as sn
from smallnets.data import augment, labelled
from smallnets.data.augment import choose
from smallnets.data.imageset import ImageSet
from smallnets.training.evaluate import measure
from smallnets.training.feed import feed as feed_module
from smallnets.training.feed.batches import Batch, each_in_order, plan_batches
from smallnets.training.feed.feed import Feed, resident
from smallnets.training.feed.samples import Samples
from smallnets.training.feed.understand import understand
from smallnets.training.group import Group
from smallnets.training.loop import step as step_module
from smallnets.training.loop.step import Updates
from smallnets.training.options import FitOptions
from smallnets.training.plan.calibrate import settle_plan
from smallnets.training.plan.plan import Plan, choose_device

GPU = torch.device("cuda", 0)


class Waits(TorchDispatchMode):
    """Notes every operation for which the host waits for the GPU, and float64 on it, which Apple's GPUs have not."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = args[0] if args else None
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.bincount.default):
            self.seen.append(str(func))
        moved = func is torch.ops.aten._to_copy.default and given.device.type != result.device.type
        if moved and (result.device.type == "cpu" or not kwargs.get("non_blocking")):
            self.seen.append(f"{func} {given.device} -> {result.device}")
        if func is torch.ops.aten.index.Tensor and any(i is not None and i.device != given.device for i in args[1]):
            self.seen.append(f"{func} with an index from elsewhere")
        if isinstance(result, Tensor) and result.dtype == torch.float64 and result.device.type != "cpu":
            self.seen.append(f"{func} in float64")
        return result


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    # What is looked at once, before the first step, needs values.
    monkeypatch.setattr(labelled, "check_labels", lambda *_: None)
    monkeypatch.setattr(step_module, "all_finite", lambda _: True)
    monkeypatch.setattr(augment, "uniforms", lambda seed, epoch, index, draws: np.full((draws, len(index)), 0.3))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(step_module, "seed_draws", lambda device, seed: None)
    monkeypatch.setattr(feed_module, "free_memory", lambda device: 1 << 30)
    with FakeTensorMode(allow_non_fake_inputs=True), Waits() as found:
        yield found


def pictures(count: int) -> Samples:
    labels = torch.arange(count) % 10
    return understand(ImageSet(
        labels, tuple("abcdefghij"), tuple(map(str, range(count))), (0.5,) * 3, (0.2,) * 3,
        images=torch.zeros(count, 3, 32, 32, dtype=torch.uint8),
    ), "fit")  # fmt: skip


def net() -> nn.Module:
    with GPU:
        return sn.convnet3(norm="batch")


def give(model: nn.Module, gradients: list[Tensor]) -> None:
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "clip_norm": 1.0, "ema": 0.9, "label_smoothing": 0.1},
        {"optimizer": "adam", "mix": "mixup(0.2)", "accumulate": 2, "precision": "bf16"},
        {"optimizer": "adam", "mix": "cutmix(1.0)", "augment": "resized-crop-flip"},
    ],
)
def test_a_step_waits_for_the_gpu_nowhere(
    waits: Waits, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = FitOptions(**{"augment": "crop-flip", "batch_size": 8, **options})
    model, samples = net(), pictures(32)
    # The autograd engine asks for a real GPU.
    gradients = [torch.zeros_like(parameter) for parameter in model.parameters()]
    monkeypatch.setattr(Tensor, "backward", lambda _: give(model, gradients))
    feed = Feed(
        resident(samples, GPU),
        plan_batches(32, 8),
        GPU,
        0,
        choose(str(settings.augment), "folder", 32),
        channels_last=True,
    )
    training = Updates(model, settings, Plan(GPU, settings.precision, channels_last=True), Group(), 4)
    batches = feed.epoch(0)
    first = next(batches)
    assert first.images.device == first.labels.device == GPU
    assert training.step([first], 0) is None  # makes the optimiser's state
    waits.seen.clear()
    for step, batch in enumerate(batches, start=1):
        assert training.step([batch] * settings.accumulate, step) is None
    assert waits.seen == []
    assert step == 3


def test_measuring_waits_for_the_gpu_at_its_end_only(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr("smallnets.training.evaluate.in_order", each_in_order)  # fake tensors stay in their thread
    monkeypatch.setattr("smallnets.training.evaluate.collect", lambda *_: ends.append(len(waits.seen)))
    monkeypatch.setattr("smallnets.training.evaluate.check_labels", lambda *_: None)
    model = net().eval()
    waits.seen.clear()
    measure(model, pictures(32), 8, Plan(GPU, "bf16"), group=Group(), topk=(1, 5))
    assert waits.seen == []
    assert ends == [0]


@pytest.mark.parametrize(
    ("there", "taken"), [("mps", "mps"), ("xpu", "xpu"), ("cuda", "cuda"), ("mtia", "cpu"), (None, "cpu")]
)
def test_auto_takes_the_gpu_that_there_is(monkeypatch: pytest.MonkeyPatch, there: str | None, taken: str) -> None:
    asked: list[torch.device] = []

    def zeros(*_: Any, device: torch.device) -> Any:
        asked.append(device)
        return torch.empty(())

    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: None if there is None else torch.device(there)
    )
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch, "zeros", zeros)
    assert choose_device("auto").type == taken and [device.type for device in asked] == [taken]


@pytest.mark.parametrize("asked", ["mps", "xpu", "cuda:7"])
def test_a_gpu_that_is_not_there_is_said(asked: str) -> None:
    with pytest.raises(
        ValueError, match=f"device: expected a device of this machine; got '{asked}'. Take 'auto' or 'cpu'."
    ):
        choose_device(asked)


def test_every_process_keeps_its_own_gpu_in_the_leader_s_plan() -> None:
    class Second(Group):
        def from_leader(self, thing: Any) -> Any:
            return Plan(torch.device("cuda", 0), "bf16", channels_last=True)

    mine, batch = Plan(torch.device("cuda", 1)), Batch(torch.zeros(4, 1), torch.zeros(4), 4)
    second = Second(rank=1, world=2)
    plan, _ = settle_plan(nn.Linear(1, 1), batch, nn.functional.cross_entropy, FitOptions(), mine, 1000, second)
    assert plan == Plan(torch.device("cuda", 1), "bf16", channels_last=True)
