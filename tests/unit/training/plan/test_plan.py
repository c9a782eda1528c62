"""The measured plan: what is slower or computes something else is not taken."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets import FitOptions
from smallnets.training.feed.understand import understand
from smallnets.training.group import Group
from smallnets.training.plan import calibrate, inference, timing
from smallnets.training.plan.calibrate import choose_plan
from smallnets.training.plan.plan import Plan
from smallnets.training.plan.timing import Timing

CPU = Plan(torch.device("cpu"))
BATCH = torch.randn(4, 1, 32, 32), torch.tensor([1, 2, 3, 4])


def script(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], losses: dict[str, float] | None = None
) -> list[str]:
    """Replace the clock: seconds a step by the plan's words, the first of them a plain step's."""
    asked: list[str] = []

    def first_look(model: Any, images: Tensor, labels: Any, loss: Any, plan: Plan, *_: Any) -> tuple[Timing, int]:
        words = plan.words().removeprefix("cpu, ")
        asked.append(words)
        return Timing(plan, seconds[words], (losses or {}).get(words, 2.3), 0.0), len(images)

    monkeypatch.setattr(calibrate, "first_look", first_look)
    monkeypatch.setattr(calibrate, "bf16_is_slow", lambda: False)

    def measure_plan(model: Any, images: Any, labels: Any, loss: Any, plan: Plan, *_: Any) -> Timing:
        words = plan.words().removeprefix("cpu, ")
        asked.append(words)
        if words not in seconds:
            raise RuntimeError("not in this test")
        return Timing(plan, seconds[words], (losses or {}).get(words, 2.3), ready=50.0 if plan.compile else 0.0)

    monkeypatch.setattr(calibrate, "measure_plan", measure_plan)
    return asked


def choose(steps: int = 1000, **options: Any) -> tuple[str, str]:
    plan, said = choose_plan(sn.lenet5(), *BATCH, nn.functional.cross_entropy, FitOptions(**options), CPU, steps)
    return plan.words().removeprefix("cpu, "), said


def test_the_fastest_that_agrees_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"fp32": 1.0, "fp32, channels_last": 0.8, "bf16": 0.5, "bf16, channels_last": 0.2}
    script(monkeypatch, times)
    plan, said = choose(compile=False)
    assert plan == "bf16, channels_last"
    assert said.startswith("cpu, bf16, channels_last (5.00 times as fast as cpu, fp32; 4 ways timed")
    script(monkeypatch, times, {"bf16, channels_last": 2.5})
    assert choose(compile=False)[0] == "bf16"
    script(monkeypatch, times, {"bf16, channels_last": float("nan"), "bf16": 2.2})
    assert choose(compile=False)[0] == "fp32, channels_last"
    script(monkeypatch, {"fp32": 1.0})
    plan, said = choose(compile=False)
    assert plan == "fp32" and said.startswith("cpu, fp32 (") and "as fast" not in said  # as itself, which says nothing


def test_what_is_set_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, {"bf16": 1.0, "bf16, channels_last": 2.0})
    assert choose(precision="bf16", compile=False)[0] == "bf16" and asked == ["bf16", "bf16, channels_last"]
    asked.clear()
    assert choose(precision="fp32", channels_last=True, compile=False) == ("fp32, channels_last", "") and not asked


@pytest.mark.parametrize(("steps", "measured"), [(299, False), (1000, True)])
def test_measuring_is_for_runs_that_are_worth_it(monkeypatch: pytest.MonkeyPatch, steps: int, measured: bool) -> None:
    """Two hundredths of the run must pay for six steps of the four pictures that there are: 300 steps."""
    asked = script(monkeypatch, {"fp32": 1.0, "bf16, channels_last": 0.5})
    said = choose(steps=steps, compile=False)[1]
    assert bool(asked) == measured and ("too short a run" in said) != measured


def test_few_steps_of_large_batches_are_measured_on_few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty steps of 128 pictures, three seconds each: 1.2 seconds to measure in, six steps of eight pictures."""
    seen: list[int] = []

    def first_look(model: Any, images: Tensor, labels: Any, loss: Any, plan: Plan, *_: Any) -> tuple[Timing, int]:
        return Timing(plan, 3.0 * 8 / 128, 2.3, 0.0), 8

    def measure_plan(model: Any, images: Tensor, labels: Any, loss: Any, plan: Plan, *_: Any) -> Timing:
        seen.append(len(images))
        return Timing(plan, 3.0 * len(images) / 128, 2.3, 0.0)

    monkeypatch.setattr(calibrate, "measure_plan", measure_plan)
    monkeypatch.setattr(calibrate, "first_look", first_look)
    batch = torch.randn(128, 1, 32, 32), torch.arange(128) % 10
    for steps, pictures in ((20, 8), (200, 42), (2000, 42)):  # of a long run no more than a step of a second
        seen.clear()
        choose_plan(sn.lenet5(), *batch, nn.functional.cross_entropy, FitOptions(compile=False), CPU, steps)
        assert set(seen) == {pictures}


def test_measuring_stops_when_its_seconds_are_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, {"fp32": 1.0, "bf16, channels_last": 0.5, "bf16": 0.6})
    clock = iter([0.0, 0.0, *(1000.0,) * 20])
    monkeypatch.setattr(calibrate.time, "perf_counter", lambda: next(clock))
    assert choose(steps=1000, compile=False)[0] == "bf16, channels_last" and asked == ["fp32", "bf16, channels_last"]


@pytest.mark.parametrize(("steps", "expected"), [(250, "fp32"), (1000, "fp32, compiled")])
def test_compiling_must_be_worth_its_seconds(monkeypatch: pytest.MonkeyPatch, steps: int, expected: str) -> None:
    monkeypatch.setattr(calibrate, "A_COMPILED_LAYER", 1.0)  # twelve layers: of a thousand seconds on, about
    layers = sum(1 for module in sn.lenet5().modules() if not list(module.children()))
    asked = script(monkeypatch, {"fp32": 1.0, "fp32, compiled": 0.9})  # and 50 s to compile
    assert choose(steps=steps)[0] == expected
    assert ("fp32, compiled" in asked) == (layers < calibrate.SHARE * steps)


class Clock:
    """Steps that take what a machine would, by pictures and plan, and a time that only they move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, compiling: float, unfolding: float = 0.5) -> None:
        self.now, self.fast, self.compiling = 0.0, {"fp32": 1.0, "fp32, channels_last": 1.3}, compiling
        monkeypatch.setattr(calibrate.time, "perf_counter", lambda: self.now)
        for module in (calibrate, timing):
            monkeypatch.setattr(module, "one_step", self.one_step)
        monkeypatch.setattr(timing, "compiled", lambda net: setattr(self, "cold", True) or net)
        monkeypatch.setattr(timing, "use_unfolded", lambda net, names: None)
        monkeypatch.setattr(calibrate, "unfolded_where_it_gains", self.unfolded)
        self.cold, self.unfolding = False, unfolding

    def one_step(self, net: Any, images: Tensor, labels: Any, loss: Any, plan: Plan) -> tuple[float, float]:
        slow = 3.0 if plan.precision == "bf16" else self.fast.get(plan.words().removeprefix("cpu, "), 1.0)
        taken = len(images) / 128 * slow + (self.compiling if self.cold else 0.0)
        self.now, self.cold = self.now + taken, False
        return taken, 2.3

    def unfolded(self, model: Any, images: Tensor, plan: Plan) -> tuple[str, ...]:
        self.now += self.unfolding * len(images) / 128
        return ("features.0",)


@pytest.mark.parametrize("steps", [20, 60, 150, 400, 1200, 2500])
@pytest.mark.parametrize("compiling", [4.0, 6.0])
@pytest.mark.parametrize("slow", [False, True])
def test_measuring_never_takes_more_than_a_fiftieth(
    monkeypatch: pytest.MonkeyPatch, steps: int, compiling: float, slow: bool
) -> None:
    """Steps of a second, way by way; compiling of lenet5's twelve layers takes six seconds at most."""
    clock = Clock(monkeypatch, compiling)
    monkeypatch.setattr(calibrate, "bf16_is_slow", lambda: slow)
    batch = torch.randn(128, 1, 32, 32), torch.arange(128) % 10
    _, said = choose_plan(sn.lenet5(), *batch, nn.functional.cross_entropy, FitOptions(), CPU, steps)
    assert clock.now <= 0.02 * steps and (steps < 60 or "timed in" in said)


def test_a_cpu_without_bf16_is_not_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, {"fp32": 1.0, "bf16, channels_last": 0.5})
    monkeypatch.setattr(calibrate, "bf16_is_slow", lambda: True)
    assert choose(compile=False)[0] == "fp32" and not any("bf16" in words for words in asked)
    script(monkeypatch, {"bf16": 1.0, "bf16, channels_last": 0.5})
    monkeypatch.setattr(calibrate, "bf16_is_slow", lambda: True)
    assert choose(compile=False, precision="bf16")[0] == "bf16, channels_last"  # what is asked for is kept to
    taken = {torch.float32: 1.0, torch.bfloat16: 2.0}
    monkeypatch.undo()
    for share, expected in ((2.0, False), (20.0, True)):
        taken[torch.bfloat16] = share
        timing.bf16_is_slow.cache_clear()
        monkeypatch.setattr(timing, "shortest", lambda call: taken[call.args[0].dtype])
        assert timing.bf16_is_slow() is expected
    timing.bf16_is_slow.cache_clear()


def test_asked_to_compile_it_compiles_the_fastest_and_nothing_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, {"fp32": 1.0, "bf16, channels_last": 0.5})
    assert choose(compile=True)[0] == "bf16, channels_last, compiled"
    assert not any("compiled" in words for words in asked)


@pytest.mark.parametrize(
    ("steps", "expected"), [(1000, "bf16"), (6000, "bf16, compiled"), (20000, "bf16, compiled (max-autotune)")]
)
def test_on_a_gpu_kernels_are_timed_where_compiling_gained_and_the_run_is_long(
    monkeypatch: pytest.MonkeyPatch, steps: int, expected: str
) -> None:
    """Six seconds of compiling for lenet5's twelve layers, thirty-six with timing: a tenth of the run must hold them."""
    ways = {"fp32": 0.1, "bf16": 0.05, "bf16, compiled": 0.04, "bf16, compiled (max-autotune)": 0.03}
    seconds = {"cuda, fp32": 0.1} | {f"cuda, {way}, as a graph": each for way, each in ways.items()}
    asked = script(monkeypatch, seconds)
    monkeypatch.setattr(calibrate, "bf16_is_emulated", lambda device: False)
    gpu, layers = Plan(torch.device("cuda")), 12
    monkeypatch.setattr(calibrate, "seconds_to_compile", lambda model: 0.5 * layers)
    plan, _ = choose_plan(sn.lenet5(), *BATCH, nn.functional.cross_entropy, FitOptions(), gpu, steps)
    assert plan.words() == f"cuda, {expected}, as a graph"
    assert any("max-autotune" in words for words in asked) == (steps == 20000)


@pytest.mark.parametrize(("seconds", "measured"), [(0.2, False), (0.3, True)])
def test_on_a_gpu_a_run_of_some_seconds_is_measured_however_few_its_steps(
    monkeypatch: pytest.MonkeyPatch, seconds: float, measured: bool
) -> None:
    asked = script(monkeypatch, {"cuda, fp32": seconds, "cuda, bf16, as a graph": seconds / 2})
    monkeypatch.setattr(calibrate, "bf16_is_emulated", lambda device: False)
    batch = torch.randn(128, 1, 32, 32), torch.arange(128) % 10
    given = sn.lenet5(), *batch, nn.functional.cross_entropy, FitOptions(compile=False)
    choose_plan(*given, Plan(torch.device("cuda")), 20)
    assert (len(asked) > 1) == measured


def test_kernels_are_timed_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, {"fp32": 1.0, "bf16, channels_last": 0.5})
    assert choose(compile="max-autotune")[0] == "bf16, channels_last, compiled (max-autotune)"
    assert not any("compiled" in words for words in asked)
    modes: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda net, mode=None: modes.append(mode) or net)
    data = (torch.randn(8, 1, 32, 32), torch.arange(8) % 10)
    common: dict[str, Any] = {"precision": "fp32", "channels_last": False, "run_dir": tmp_path, "progress": False}
    common |= {"compile": "max-autotune", "device": "cpu"}
    for epochs in (1, 2):
        assert sn.fit(sn.lenet5(), data, **common, epochs=epochs, schedule="constant").plan["compile"] == "max-autotune"
        common["resume"] = "changed"
    assert set(modes) == {"max-autotune-no-cudagraphs"}
    with pytest.raises(ValueError, match="compile to be one of 'auto', True, False, 'max-autotune'; got 'max'"):
        FitOptions(compile="max")  # type: ignore[arg-type]


def test_a_first_look_takes_as_few_pictures_as_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def one_step(net: Any, images: Tensor, *_: Any) -> tuple[float, float]:
        seen.append(len(images))
        return len(images) * 0.001, 2.3

    monkeypatch.setattr(calibrate, "one_step", one_step)
    batch = torch.randn(256, 1, 32, 32), torch.arange(256) % 10
    common = (sn.lenet5(), *batch, nn.functional.cross_entropy, CPU)
    look, pictures = calibrate.first_look(*common, steps=1000)
    assert (look.seconds, pictures) == (pytest.approx(0.032), 32)
    assert seen == [8, 8, 32, 32]  # 32 take more than a fiftieth of a second
    seen.clear()
    look, pictures = calibrate.first_look(*common, steps=3)
    assert (look.seconds, pictures) == (pytest.approx(0.008), 8)
    assert seen == [8, 8]  # too short a run, that much is known


def test_measuring_for_real_leaves_the_net_alone() -> None:
    torch.manual_seed(0)
    net = sn.convnet3(in_channels=1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    plan, said = choose_plan(net, *BATCH, nn.functional.cross_entropy, FitOptions(compile=False), CPU, 1000)
    assert "timed in" in said and plan.device.type == "cpu"
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert net.training and all(p.grad is None for p in net.parameters())


def test_a_way_that_cannot_run_is_not_open() -> None:
    class NoHalf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = sn.lenet5()

        def forward(self, x: Tensor) -> Tensor:
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("not in bf16")
            return self.net(x)

    low = Plan(torch.device("cpu"), "bf16")
    given = NoHalf(), *BATCH, nn.functional.cross_entropy
    assert calibrate.if_it_can(lambda: timing.measure_plan(*given, low, 1.0)) is None
    assert calibrate.if_it_can(lambda: timing.measure_plan(*given, CPU, float("inf"))) is not None


def test_an_error_of_the_plain_way_is_the_users_to_see() -> None:
    def wrong(logits: Tensor, labels: Tensor) -> Tensor:
        raise KeyError("a mistake in the loss")

    with pytest.raises(KeyError, match="a mistake in the loss"):
        choose_plan(sn.lenet5(), *BATCH, wrong, FitOptions(), CPU, 1000)


def test_the_plan_is_stored_and_kept_on_resume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(monkeypatch, {"fp32": 1.0, "bf16": 0.5})
    data = (torch.randn(20, 1, 32, 32), torch.arange(20) % 10)
    common: dict[str, Any] = {"epochs": 200, "batch_size": 10, "run_dir": tmp_path, "progress": False, "device": "cpu"}
    with pytest.raises(ZeroDivisionError):
        sn.fit(sn.lenet5(), data, **common, callbacks=[lambda row: row["epoch"] == 199 and 1 / 0])
    asked = script(monkeypatch, {"fp32": 1.0})
    history = sn.fit(sn.lenet5(), data, **common)
    assert history.plan["precision"] == "bf16" and not asked


def test_much_work_is_evaluated_folded_and_agreement_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = sn.resnet20()
    data = (torch.randn(96, 3, 32, 32), torch.arange(96) % 10)
    plain = sn.evaluate(net, data, batch_size=32)
    assert "batch_norms_folded" not in plain.plan  # little work: exactly the plain way
    monkeypatch.setattr(inference, "WORTH_IT", 0.0)
    monkeypatch.setattr(inference, "CLEARLY", 1e9)
    folded = sn.evaluate(net, data, batch_size=32)
    assert folded.plan["batch_norms_folded"] and folded.plan["same_class_as_fp32"] == 1.0
    assert folded.loss == pytest.approx(plain.loss, rel=1e-4) and folded.plan["largest_difference"] < 1e-4
    monkeypatch.setattr(inference, "CLEARLY", 0.0)
    low = sn.evaluate(net, data, batch_size=32)
    assert low.plan["precision"] == "bf16" and 0 < low.plan["largest_difference"] < 0.2
    assert low.loss == pytest.approx(plain.loss, rel=0.05)
    said = sn.predict(net, data, batch_size=32).plan
    assert said["precision"] == "bf16" and said["largest_difference"] == low.plan["largest_difference"]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=32)
    taken = sn.evaluate(net, loader, batch_size=32)  # as it comes: nothing is drawn from it to measure with
    assert taken.loss == plain.loss and "batch_norms_folded" not in taken.plan
    exact = sn.evaluate(net, data, batch_size=32, precision="fp32")
    assert exact.loss == plain.loss and exact.plan["precision"] == "fp32"


def test_work_is_seconds_a_picture_times_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "run", lambda model, images, plan: (0.1 * len(images), torch.zeros(len(images), 10)))
    for count, much in ((40, False), (60, True)):  # a tenth of a second each
        samples = understand((torch.zeros(count, 1, 32, 32), torch.arange(count) % 10), "evaluate")
        _, _, facts = inference.fastest(sn.lenet5().eval(), samples, 8, "auto", torch.device("cpu"), Group())
        assert ("largest_difference" in facts) == much


def test_agreement_is_of_classes_and_relative_to_the_largest_logit() -> None:
    expected = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    found = inference.agreement(expected, torch.tensor([[3.0, 0.0], [1.5, 1.0]]))
    assert found == {"same_class_as_fp32": 0.5, "largest_difference": 1.5 / 4}


def test_a_net_that_cannot_be_traced_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, 0] if x.sum() > 0 else -x[:, 0, 0]

    monkeypatch.setattr(inference, "WORTH_IT", 0.0)
    monkeypatch.setattr(inference, "CLEARLY", 1e9)
    found = sn.evaluate(Branching(), (torch.rand(8, 1, 2, 3), torch.arange(8) % 3), batch_size=4)
    assert found.plan["batch_norms_folded"] is False and not found.plan["channels_last"]
