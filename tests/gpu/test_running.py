"""How a GPU is kept busy: no step that waits, an update as a graph that is the update, memory as it was said."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets.data.imageset import ImageSet
from smallnets.errors import RunError
from smallnets.training.loop import run, start, step
from smallnets.training.plan import captured
from smallnets.training.plan.plan import Plan

pytestmark = pytest.mark.gpu
COMMON: dict[str, Any] = {"batch_size": 32, "progress": False, "lr": 1e-3}


def colours(count: int, size: int = 32) -> ImageSet:
    images = torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    names = tuple("abcdefghij")
    return ImageSet(
        torch.arange(count) % 10, names, tuple(map(str, range(count))), (0.5,) * 3, (0.25,) * 3, images=images,
        source="folder",
    )  # fmt: skip


def planned(monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
    """Runs follow this plan and measure nothing."""
    monkeypatch.setattr(
        start, "settle_plan", lambda model, batch, loss, options, fixed, *_: (Plan(fixed.device, **how), "")
    )


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """From the third step of an epoch to its end whatever makes the host wait for the GPU is an error."""
    steps: list[int] = []
    update, end = step.Updates.step, run.Run._end_epoch

    def watched(self: Any, *given: Any) -> Any:
        found = update(self, *given)
        steps.append(1)
        if len(steps) == 3:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the mode is a prototype
                torch.cuda.set_sync_debug_mode("error")
        return found

    def ended(self: Any, *given: Any) -> Any:
        torch.cuda.set_sync_debug_mode("default")
        return end(self, *given)

    monkeypatch.setattr(step.Updates, "step", watched)
    monkeypatch.setattr(run.Run, "_end_epoch", ended)
    yield steps
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "clip_norm": 1.0, "ema": 0.9, "label_smoothing": 0.1},
        {"optimizer": "sgd", "mix": "mixup(0.2)", "accumulate": 2},
        {"optimizer": "adam", "mix": "cutmix(1.0)", "augment": "resized-crop-flip"},
    ],
)
@pytest.mark.parametrize(
    "how", [{}, {"precision": "bf16", "channels_last": True}, {"precision": "fp16"}, {"graph": True}]
)
def test_no_step_waits(
    cuda: str, strict: list[int], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], how: dict[str, Any]
) -> None:
    planned(monkeypatch, **how)
    sn.fit(sn.convnet3(), colours(32 * 20), epochs=1, device=cuda, **COMMON, **options)
    assert len(strict) in (10, 20)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("how", [{}, {"precision": "bf16", "channels_last": True}, {"precision": "fp16"}])
def test_an_update_as_a_graph_is_the_update(
    cuda: str, monkeypatch: pytest.MonkeyPatch, optimizer: str, how: dict[str, Any]
) -> None:
    """With dropout, an odd last batch, clipped gradients and averaged weights."""
    data, found, histories = colours(32 * 9 + 7), [], []
    for graph in (False, True):
        planned(monkeypatch, **how, graph=graph)
        torch.manual_seed(0)
        model = sn.convnet3()
        options: dict[str, Any] = {"optimizer": optimizer, "clip_norm": 1.0, "ema": 0.9, "augment": "crop-flip"}
        histories.append(sn.fit(model, data, epochs=3, device=cuda, **COMMON, **options))
        found.append(torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()]))
    assert histories[1].plan["graph"]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-2)
    assert float((found[0] - found[1]).norm() / found[0].norm()) < 2e-2  # kernels add up in any order


def test_a_captured_run_is_captured(cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, graph=True)
    replays: list[int] = []
    original = torch.cuda.CUDAGraph.replay

    def replay(self: torch.cuda.CUDAGraph) -> None:
        replays.append(1)
        original(self)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replay)
    sn.fit(sn.resnet20(), colours(32 * 6), epochs=2, device=cuda, **COMMON)
    assert len(replays) == 11  # all but the first


def test_the_graph_is_measured_and_taken_where_it_is_faster(cuda: str) -> None:
    history = sn.fit(sn.resnet20(), colours(12800), epochs=4, device=cuda, batch_size=64, progress=False)
    assert history.plan["graph"], history.plan


class Looks(nn.Module):
    """A net that waits for the device in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net = sn.convnet3()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) * (1.0 if x.sum().item() else 0.5)


def test_what_cannot_be_captured_runs_step_by_step(cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, graph=True)
    monkeypatch.setattr(captured, "KNOWN", ("",))  # any net
    history = sn.fit(Looks(), colours(32 * 6), epochs=2, device=cuda, **COMMON)
    assert history["loss"][-1] > 0
    torch.zeros(3, device=cuda).uniform_()  # the generator is in order again


def test_kept_activations_are_those_predicted(cuda: str) -> None:
    model = sn.resnet20().to(cuda)
    predicted = sn.summarize(sn.resnet20(), (3, 32, 32)).training_memory(batch_size=256)
    x = torch.randn(256, 3, 32, 32, device=cuda)
    model(x)  # sets things up
    before = torch.cuda.memory_allocated()
    logits = model(x)
    assert (torch.cuda.memory_allocated() - before) == pytest.approx(predicted, rel=0.1)
    del logits


def test_out_of_memory_is_one_sentence_with_a_batch_that_fits(cuda: str) -> None:
    share = 1.5e9 / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        with pytest.raises(
            RunError, match=r"a batch of 4096 to fit .* Take batch_size=\d+, with accumulate=\d+"
        ) as caught:
            sn.fit(sn.resnet20(), colours(4096), epochs=1, device=cuda, batch_size=4096, progress=False, compile=False)
        fits = int(str(caught.value).split("batch_size=")[1].split(",")[0])
        del caught
        sn.fit(sn.resnet20(), colours(fits), epochs=1, device=cuda, batch_size=fits, progress=False, compile=False)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
