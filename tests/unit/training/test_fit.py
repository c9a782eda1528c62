"""fit: learns, keeps its promises about what it leaves alone, and refuses what cannot be trained."""

import csv
import json
import re
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets import DataError, FitOptions, OptionError, RunError, ShapeError
from smallnets.data import ImageSet, load

QUIET: dict[str, Any] = {"progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def digits() -> tuple[ImageSet, ImageSet]:
    rest, part = load("digits").split(0.1)
    assert isinstance(rest, ImageSet) and isinstance(part, ImageSet)
    return rest[:400], part


def net(seed: int = 0, **options: Any) -> sn.LeNet:
    torch.manual_seed(seed)
    return sn.lenet5(**options)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([tensor.detach().flatten().double() for tensor in model.state_dict().values()])


def test_it_learns_and_tells(digits: tuple[ImageSet, ImageSet]) -> None:
    history = sn.fit(net(), *digits, epochs=6, batch_size=32, lr=5e-3, **QUIET)
    assert history["loss"][-1] < 0.5 < history["loss"][0]
    assert history.best["val_accuracy"] == max(history["val_accuracy"]) > 0.85
    assert history["epoch"] == [1, 2, 3, 4, 5, 6] and all(rate > 0 for rate in history["images_per_second"])


def test_a_plain_loop_of_torch_gives_the_same_weights(digits: tuple[ImageSet, ImageSet]) -> None:
    """The oracle: order and pictures taken from the feed's definition, everything else plain PyTorch."""
    from smallnets.data.stateless import order

    train = digits[0]
    ours, plain = net(), net()
    sn.fit(ours, train, epochs=2, batch_size=50, lr=0.05, optimizer="sgd", weight_decay=1e-3, schedule="constant",
           augment="none", **QUIET)  # fmt: skip
    pixels = (train.images.float() / 255 - train.mean[0]) / train.std[0]
    sgd = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for epoch in range(2):
        for rows in order(0, epoch, len(train)).split(50):
            sgd.zero_grad()
            nn.functional.cross_entropy(plain(pixels[rows]), train.labels[rows]).backward()
            sgd.step()
    torch.testing.assert_close(weights(ours), weights(plain), atol=1e-5, rtol=1e-4)


def test_accumulating_equals_the_large_batch(digits: tuple[ImageSet, ImageSet]) -> None:
    large, small = net(), net()
    common: dict[str, Any] = {"epochs": 1, "optimizer": "sgd", "lr": 0.05, "augment": "none", **QUIET}
    sn.fit(large, digits[0][:390], batch_size=80, **common)
    sn.fit(small, digits[0][:390], batch_size=20, accumulate=4, **common)  # the last update has 70: 20, 20, 20, 10
    torch.testing.assert_close(weights(small), weights(large), atol=1e-5, rtol=1e-3)


def test_everything_is_left_as_it_was_found(digits: tuple[ImageSet, ImageSet]) -> None:
    model = sn.convnet3(in_channels=1).to(memory_format=torch.channels_last)
    model.classifier.eval()
    flags = [module.training for module in model.modules()]
    objects = [id(p) for p in model.parameters()]
    rng = torch.get_rng_state()
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    sn.fit(model, *digits, epochs=1, deterministic=True, **QUIET)
    sn.evaluate(model, digits[1])
    sn.predict(model, digits[1])
    assert [module.training for module in model.modules()] == flags
    assert [id(p) for p in model.parameters()] == objects and all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), rng) and not torch.are_deterministic_algorithms_enabled()
    assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert next(model.parameters()).is_contiguous(memory_format=torch.channels_last)


STOPPED: list[dict[str, Any]] = [{}, {"ema": 0.9, "accumulate": 2, "mix": "mixup(0.2)"}, {"optimizer": "sgd"}]


def narrow(seed: int = 0) -> sn.ConvNet3:
    """All kinds of layers of the zoo's smallest net with batch norm and dropout; their width only costs time."""
    torch.manual_seed(seed)
    return sn.convnet3(in_channels=1, channels=(4, 8, 8), hidden=(16,))


@pytest.fixture(scope="module")
def straight(
    digits: tuple[ImageSet, ImageSet], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[dict[str, Any], nn.Module, sn.History, Path]:
    """A run that nothing stopped: its settings, net, history and folder."""
    common: dict[str, Any] = {"epochs": 3, "batch_size": 64, "deterministic": True, **request.param, **QUIET}
    model, folder = narrow(), tmp_path_factory.mktemp("straight")
    return common, model, sn.fit(model, *digits, **common, run_dir=folder), folder


@pytest.mark.parametrize("where", ["between epochs", "within an epoch", "in validation", "in the last validation"])
@pytest.mark.parametrize("straight", STOPPED, indirect=True, ids=lambda options: ",".join(options) or "plain")
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    digits: tuple[ImageSet, ImageSet],
    straight: tuple[dict[str, Any], nn.Module, sn.History, Path],
    tmp_path: Path,
    where: str,
) -> None:
    common, ended, expected, folder = straight
    stopped, run = narrow(), tmp_path

    class Stop(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Stop

    if where == "between epochs":
        with pytest.raises(Stop):
            sn.fit(stopped, *digits, **common, run_dir=run, callbacks=[lambda row: row["epoch"] == 2 and stop()])
    elif where.endswith("validation"):  # after the last step's checkpoint, before that of the epoch's end
        passes = 0

        def break_down(module: nn.Module, inputs: Any) -> None:
            nonlocal passes
            passes += not module.training
            # The first is the probe of the outputs, the second the first epoch's.
            if passes == (4 if "last" in where else 3):
                raise Stop

        handle = stopped.register_forward_pre_hook(break_down)
        with pytest.raises(Stop):
            sn.fit(stopped, *digits, **common, run_dir=run, save_every=1)
        handle.remove()
    else:
        steps = 0

        def interrupt(module: nn.Module, inputs: Any) -> None:
            nonlocal steps
            steps += module.training
            if steps == 10:
                signal.raise_signal(signal.SIGINT)

        handle = stopped.register_forward_pre_hook(interrupt)
        with pytest.raises(KeyboardInterrupt):
            sn.fit(stopped, *digits, **common, run_dir=run)
        handle.remove()
    fresh = narrow(7)
    found = sn.fit(fresh, *digits, **common, run_dir=run)
    assert torch.equal(weights(fresh), weights(ended))
    timeless = [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in found]
    assert timeless == [{k: v for k, v in row.items() if k in timeless[0]} for row in expected]
    one, other = (torch.load(path / "last.ckpt", weights_only=True) for path in (folder, run))
    assert one["optimizer"]["param_groups"] == other["optimizer"]["param_groups"]
    for mine, theirs in zip(one["optimizer"]["state"].values(), other["optimizer"]["state"].values(), strict=True):
        assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key])) for key in mine)


def test_sigterm_saves_and_exits_143(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    model = net()
    handle = model.register_forward_pre_hook(lambda *_: signal.raise_signal(signal.SIGTERM) if model.training else None)
    with pytest.raises(SystemExit) as caught:
        sn.fit(model, *digits, run_dir=tmp_path, **QUIET)
    handle.remove()
    assert caught.value.code == 143
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["progress"]["step"] == 1


def test_a_signal_between_steps_is_not_lost(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sn.fit(
            net(),
            *digits,
            epochs=1,
            run_dir=tmp_path,
            callbacks=[lambda row: signal.raise_signal(signal.SIGINT)],
            **QUIET,
        )
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["progress"]["epoch"] == 1


def test_bare_pictures_are_normalised_as_in_training(digits: tuple[ImageSet, ImageSet]) -> None:
    model, (train, val) = net(), digits
    sn.fit(model, train, epochs=2, **QUIET)
    whole = sn.predict(model, val).probabilities
    few = sn.predict(model, val.images[:3]).probabilities
    torch.testing.assert_close(few, whole[:3], atol=1e-5, rtol=1e-4)
    assert sn.evaluate(model, (val.images.numpy(), val.labels.numpy())).accuracy == sn.evaluate(model, val).accuracy


def test_the_run_folder(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    model = net()
    history = sn.fit(model, *digits, epochs=2, run_dir=tmp_path, **QUIET)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"last.ckpt", "previous.ckpt", "best.ckpt", "metrics.csv", "config.json", "curves.png"}
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["net"]["config"] == model.config and config["options"]["epochs"] == 2
    again = sn.fit(net(1), *digits, epochs=2, run_dir=tmp_path, **QUIET)
    assert again.rows == history.rows


def test_best_weights_come_back(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    def worsen(step: int, total: int) -> float:
        return 1.0 if step < total // 2 else 60.0

    for run_dir in (None, tmp_path):
        model = net()
        history = sn.fit(model, *digits, epochs=4, schedule=worsen, clip_norm=1.0, restore_best=True,
                         run_dir=run_dir, **QUIET)  # fmt: skip
        assert history.best["epoch"] < 4
        assert sn.evaluate(model, digits[1]).accuracy == history.best["val_accuracy"] > history["val_accuracy"][-1]
    resumed = net(5)
    sn.fit(resumed, *digits, epochs=4, schedule=worsen, clip_norm=1.0, restore_best=True, run_dir=tmp_path, **QUIET)
    assert torch.equal(weights(resumed), weights(model))


def test_other_settings_are_refused_by_name(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    sn.fit(net(), *digits, epochs=1, run_dir=tmp_path, **QUIET)
    train, steps = digits[0], -(-len(digits[0]) // 128)
    before = (tmp_path / "last.ckpt").read_bytes()
    with pytest.raises(
        RunError, match=re.escape("got epochs 1 -> 2; lr 0.001 -> 0.1. Take another folder, or resume=")
    ):
        sn.fit(net(), *digits, epochs=2, lr=0.1, run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match=r"got seed 0 -> 1\. Take another folder"):
        sn.fit(net(), *digits, epochs=1, seed=1, run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match="got validation set's checksum"):
        sn.fit(net(), train, digits[1][:50], epochs=1, run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match="training set's count 400 -> 300; training set's checksum"):
        sn.fit(net(), digits[0][:300], epochs=1, run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match="expected an unused run folder with resume='never'"):
        sn.fit(net(), *digits, epochs=1, run_dir=tmp_path, resume="never", **QUIET)
    with pytest.raises(
        RunError, match=r"expected the net of the run in .*, lenet5; got convnet3. Take another run folder"
    ):
        sn.fit(sn.convnet3(in_channels=1), *digits, epochs=1, run_dir=tmp_path, **QUIET)
    with pytest.raises(RunError, match=r"got lenet5 with variant 'modern' -> '1998'"):
        sn.fit(net(variant="1998"), *digits, epochs=1, run_dir=tmp_path, **QUIET)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    with pytest.raises(RunError, match="training set's checksum"):
        other = ImageSet(train.labels, train.classes, train.ids, train.mean, train.std, images=255 - train.images)
        sn.fit(net(), other, digits[1], epochs=1, run_dir=tmp_path, **QUIET)
    changed = {"weight_decay": 0.25, "resume": "changed", **QUIET}
    assert len(sn.fit(net(), *digits, epochs=2, run_dir=tmp_path, **changed)) == 2
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["optimizer"]
    assert state["param_groups"][0]["weight_decay"] == 0.25 and state["state"][0]["step"] == 2 * steps


def test_a_net_of_one_s_own_with_other_widths_is_another_net(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    def own(width: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(1024, width), nn.ReLU(), nn.Linear(width, 10))

    sn.fit(own(8), digits[0], epochs=1, run_dir=tmp_path, **QUIET)
    with pytest.raises(
        RunError, match=r"Sequential; got .*Sequential with 1.weight \(8, 1024\) -> \(9, 1024\), 1.bias"
    ):
        sn.fit(own(9), digits[0], epochs=2, run_dir=tmp_path, resume="changed", **QUIET)


CHANGES: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.02},
    {"ema": 0.9},
    {"batch_size": 50},
    {"accumulate": 2},
    {"monitor": "val_loss", "restore_best": True},
    {"patience": 9},
]


CHANGED: dict[str, Any] = {"batch_size": 25, "lr": 3e-3, "schedule": "constant", **QUIET}


@pytest.fixture(scope="module")
def two_epochs(digits: tuple[ImageSet, ImageSet], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sn.History]:
    folder = tmp_path_factory.mktemp("two_epochs")
    return folder, sn.fit(net(), *digits, epochs=2, patience=2, **CHANGED, run_dir=folder)


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
def test_a_run_goes_on_with_changed_settings(
    digits: tuple[ImageSet, ImageSet], two_epochs: tuple[Path, sn.History], tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Two epochs of one kind, two of another: it must go on learning from where it was."""
    folder, first = two_epochs
    run = shutil.copytree(folder, tmp_path / "run")
    history = sn.fit(net(1), *digits, **{**CHANGED, "epochs": 4, "resume": "changed", "run_dir": run, **changes})
    assert len(history) == 4 and history.rows[:2] == first.rows
    assert history["loss"][3] < history["loss"][1] and history["val_accuracy"][3] > history["val_accuracy"][1] - 0.05
    assert json.loads((run / "config.json").read_text())["options"]["epochs"] == 4


def test_patience_and_callbacks_stop(digits: tuple[ImageSet, ImageSet]) -> None:
    seen: list[int] = []
    history = sn.fit(net(), *digits, epochs=9, callbacks=[lambda row: seen.append(row["epoch"]), lambda row: row["epoch"] == 3],
                     **QUIET)  # fmt: skip
    assert len(history) == 3 and seen == [1, 2, 3]
    history = sn.fit(net(), *digits, epochs=9, lr=0.0, patience=2, **QUIET)
    assert len(history) == 3


def test_averaged_weights_are_those_measured_and_returned(digits: tuple[ImageSet, ImageSet]) -> None:
    model, plain = net(), net()
    history = sn.fit(model, *digits, epochs=2, ema=0.8, **QUIET)
    sn.fit(plain, *digits, epochs=2, **QUIET)
    assert not torch.equal(weights(model), weights(plain))
    assert sn.evaluate(model, digits[1]).loss == history["val_loss"][-1]


def test_a_last_batch_of_one_joins_the_one_before(digits: tuple[ImageSet, ImageSet]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
    sizes: list[int] = []
    model.register_forward_hook(lambda m, i, out: sizes.append(len(out)) if m.training else None)
    sn.fit(model, digits[0][:65], epochs=1, batch_size=32, **QUIET)
    assert sizes == [32, 33]
    sizes.clear()
    sn.fit(model, digits[0][:65], epochs=1, batch_size=1000, **QUIET)
    assert sizes == [65]


class Plain(torch.utils.data.Dataset[tuple[Tensor, int]]):
    def __init__(self, data: ImageSet) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.data.images[index].float() / 255, int(self.data.labels[index])


def test_the_same_from_tensors_arrays_and_a_dataset(digits: tuple[ImageSet, ImageSet]) -> None:
    train = digits[0][:200]
    images = train.images.float() / 255
    results = []
    kinds: list[Any] = [(images, train.labels), (images.numpy(), train.labels.numpy()), Plain(train)]
    for data in kinds:
        model = net()
        sn.fit(model, data, epochs=1, augment="none", **QUIET)
        results.append(weights(model))
        assert sn.evaluate(model, data).n == 200
    assert torch.equal(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_a_dataloader_is_taken_as_it_comes_and_replayed(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    loader = torch.utils.data.DataLoader(Plain(digits[0][:200]), batch_size=64, shuffle=True)
    straight, stopped = net(), net()
    sn.fit(straight, loader, epochs=2, deterministic=True, **QUIET)
    steps = 0

    def interrupt(module: nn.Module, inputs: Any) -> None:
        nonlocal steps
        steps += module.training
        if steps == 6:
            signal.raise_signal(signal.SIGINT)

    handle = stopped.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        sn.fit(stopped, loader, epochs=2, deterministic=True, run_dir=tmp_path, **QUIET)
    handle.remove()
    again = net(3)
    sn.fit(again, loader, epochs=2, deterministic=True, run_dir=tmp_path, **QUIET)
    assert torch.equal(weights(again), weights(straight))
    with pytest.raises(OptionError, match=r"expected a DataLoader to be taken as it comes; got batch_size=7. Leave"):
        sn.fit(net(), loader, batch_size=7, **QUIET)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_optimisers_have_the_right_settings(digits: tuple[ImageSet, ImageSet], optimizer: str) -> None:
    from smallnets.training.loop.optimizers import make_optimizer

    options = FitOptions(optimizer=optimizer, lr=0.3, momentum=0.8, weight_decay=0.02)
    found = make_optimizer(options, net(), torch.device("cpu"))
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    group = found.param_groups[0]
    assert type(found) is kind and group["lr"] == 0.3 and group["weight_decay"] == 0.02
    assert optimizer != "sgd" or (group["momentum"] == 0.8 and not group["nesterov"])


def test_own_optimiser_loss_schedule_and_augmentation(digits: tuple[ImageSet, ImageSet]) -> None:
    model = net()
    own = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    history = sn.fit(model, *digits, epochs=1, optimizer=own, schedule=lambda step, total: 0.5, loss=nn.NLLLoss(),
                     augment=lambda images: images.flip(3), **QUIET)  # fmt: skip
    assert history["lr"] == [5e-4] and own.param_groups[0]["lr"] == 1e-3
    history = sn.fit(model, *digits, epochs=1, optimizer=torch.optim.SGD, lr=0.02, schedule="constant", **QUIET)
    assert history["lr"] == [0.02]
    sn.fit(model, *digits, epochs=1, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01), **QUIET)
    weighted = nn.CrossEntropyLoss(weight=torch.ones(10))
    sn.fit(model, *digits, epochs=1, loss=weighted, **QUIET)
    with pytest.raises(OptionError, match="expected an optimizer over the parameters of this net; got one over others"):
        sn.fit(net(), *digits, optimizer=own, **QUIET)


@pytest.mark.parametrize("text", ["mixup(0.4)", "cutmix(1.0)"])
def test_mixed_labels_are_mixed_as_the_pictures_are(text: str) -> None:
    """Pictures that show their label in every pixel turn, mixed, into the soft labels: torch's loss of those is due."""
    from smallnets.training.loop.losses import Mixer

    labels = torch.arange(24) % 5
    images = nn.functional.one_hot(labels, 5).float()[:, :, None, None].expand(24, 5, 9, 7).contiguous()
    logits = torch.randn(24, 5)
    shares = set()
    for step in range(8):
        mixed, loss = Mixer(text, 0)(images, labels, nn.functional.cross_entropy, step)
        again, _ = Mixer(text, 0)(images, labels, nn.functional.cross_entropy, step)
        soft = mixed.mean(dim=(2, 3))
        torch.testing.assert_close(loss(logits, labels), nn.functional.cross_entropy(logits, soft))
        assert torch.equal(mixed, again)
        assert text.startswith("mixup") or set(mixed.unique().tolist()) <= {0.0, 1.0}
        shares.add(round(soft.max(dim=1).values.min().item(), 4))
    assert len(shares) > 3


def test_classic_mistakes_are_warned_of(digits: tuple[ImageSet, ImageSet]) -> None:
    with pytest.warns(UserWarning, match="fit: output-softmax at 1: Return the logits"):
        sn.fit(nn.Sequential(net(), nn.Softmax(dim=1)), *digits, epochs=1, **QUIET)
    with pytest.warns(UserWarning, match="train and val are one set"):
        sn.fit(net(), digits[0], digits[0], epochs=1, **QUIET)
    both = (digits[0].images, digits[0].labels)
    with pytest.warns(UserWarning, match="train and val are one set"):
        sn.fit(net(), both, both, epochs=1, **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sn.fit(net(), *digits, epochs=1, **QUIET)


def test_a_loss_that_is_no_number_stops_and_nothing_bad_is_written(
    digits: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    def explode(step: int, total: int) -> float:
        return 1.0 if step < 13 else 1e30

    with pytest.raises(
        RunError, match=r"no number in epoch 2, step 1\d, at lr .*e\+\d+. Nothing was saved since; the last good"
    ):
        sn.fit(net(), *digits, epochs=3, batch_size=32, optimizer="sgd", schedule=explode, run_dir=tmp_path, **QUIET)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert state["progress"]["epoch"] == 1 and all(t.isfinite().all() for t in state["model"].values())


BAD_SETTINGS = [
    ({"epochs": 0}, "fit: expected epochs to be an integer of at least 1; got 0."),
    ({"lr": -1}, "fit: expected lr to be a number of at least 0; got -1."),
    ({"lr": float("nan")}, "fit: expected lr to be a number of at least 0; got nan."),
    ({"batch_size": 0}, "fit: expected batch_size to be an integer of at least 1; got 0."),
    ({"batch_size": 2.5}, "fit: expected batch_size to be an integer of at least 1; got 2.5."),
    ({"optimizer": "sdg"}, "got 'sdg'. Did you mean 'sgd'?"),
    ({"schedule": "onecyle"}, "got 'onecyle'. Did you mean 'onecycle'?"),
    ({"augment": "flip-crop"}, "fit: expected augment to be one of"),
    ({"mix": "mixup"}, "expected mix to be 'mixup(alpha)' or 'cutmix(alpha)', alpha above 0; got 'mixup'."),
    ({"ema": 1.0}, "fit: expected ema to be a number of at least 0 and below 1; got 1.0."),
    ({"precision": "fp8"}, "fit: expected precision to be one of 'auto', 'fp32', 'bf16', 'fp16'; got 'fp8'."),
    ({"monitor": "accuray"}, "got 'accuray'. Did you mean 'accuracy'?"),
    ({"device": "cudaa"}, "expected a device of this machine; got 'cudaa'."),
    ({"device": "meta"}, "expected a device of this machine; got 'meta'."),
    ({"warmup_epochs": 10}, "fit: expected warmup_epochs to be a number of at least 0 and below 10; got 10."),
]


@pytest.mark.parametrize(("settings", "text"), BAD_SETTINGS)
def test_bad_settings(digits: tuple[ImageSet, ImageSet], settings: dict[str, Any], text: str) -> None:
    model = net()
    before = weights(model)
    with pytest.raises(OptionError, match=re.escape(text)):
        sn.fit(model, *digits, **{"progress": False, **settings})
    assert torch.equal(weights(model), before)


def test_nets_and_data_that_do_not_go_together(digits: tuple[ImageSet, ImageSet]) -> None:
    train = digits[0]
    cases: list[tuple[nn.Module, Any, str]] = [
        (net(num_classes=7), train, "expected 7 classes, as the net has logits; got 10. Build the net with num_classes=10"),
        (nn.Sequential(nn.Flatten(), nn.Linear(1024, 7)), train, "expected 10 logits, one a class; got 7. Give the net 10"),
        (sn.convnet3(), train, "expected 3-channel pictures for this net; got one-channel (grey) pictures. Build the net "
         "with in_channels=1, or load the pictures with channels=3."),
        (net(), train[train.labels == 3], "expected labels of at least two classes; got one class only."),
        (net(), (train.images, train.labels + 5), "expected labels from 0 to 9; got "),
        (net(), train.images, "expected an ImageSet, an ImageStream, a pair of tensors or arrays, a Dataset or a Dat"),
        (net(), (train.images, train.labels.float()), "expected images (N, C, H, W) and N whole-numbered labels"),
        (net(), train[:0], "expected at least one sample; got none."),
        (nn.Conv2d(1, 10, 3), train, "expected a net that gives logits (N, classes); got (2, 10, 30, 30)."),
        (nn.Sequential(nn.AdaptiveAvgPool2d((2, 5)), nn.Flatten()), train, "expected a net with parameters to train; got none with requires_grad."),
        (net(), Plain(ImageSet(train.labels % 5 + 7, tuple("0123456789ab"), train.ids, (0.0,), (1.0,), images=train.images)),
         "expected labels from 0 to 9; got "),
        (net(), torch.utils.data.DataLoader(Plain(train), 500, drop_last=True), "expected at least one batch an epoch; got none."),
        (net(), torch.utils.data.DataLoader([train.images[0].float()] * 9), "expected batches of (images, labels), images as"),
    ]  # fmt: skip
    for model, data, text in cases:
        with pytest.raises((OptionError, DataError), match=re.escape(text)):
            sn.fit(model, data, **QUIET)
    others = load("digits", classes=["1", "0"]), load("digits", classes=["0", "2"])
    with pytest.raises(DataError, match=r"expected classes of the training set \(1, 0\); got '2' with 142 pictures"):
        sn.fit(net(num_classes=2), *others, **QUIET)
    with pytest.raises(ShapeError, match=re.escape("expected an input of shape (N, 1, 32, 32); got (2, 1, 8, 8)")):
        sn.fit(net(), load("digits", size=8), **QUIET)


def test_options_go_through_json(digits: tuple[ImageSet, ImageSet]) -> None:
    options = FitOptions(epochs=2, lr=0.01, progress=False, device="cpu", mix="cutmix(1.0)")
    again = FitOptions.from_json(json.loads(json.dumps(options.to_json())))
    assert again == options
    assert len(sn.fit(net(), *digits, options=options)) == 2
    with pytest.raises(OptionError, match=r"expected either options= or keywords; got both \(epochs\)"):
        sn.fit(net(), *digits, options=options, epochs=3)
    with pytest.raises(OptionError, match=r"expected a setting of fit; got 'epoch'. Did you mean 'epochs'\?"):
        FitOptions.from_json({"epoch": 1})
    assert FitOptions(loss=nn.functional.cross_entropy).to_json()["loss"] == "torch.nn.functional.cross_entropy"


def test_flat_keywords_and_options_are_the_same_list() -> None:
    import dataclasses
    import inspect

    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(sn.fit).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "options"
    }
    assert keywords == {field.name: field.default for field in dataclasses.fields(FitOptions)}


def test_a_callback_that_fails_costs_no_epoch(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    def fails(row: object) -> None:
        raise LookupError("of the user's own")

    settings: dict[str, Any] = {"epochs": 2, "run_dir": tmp_path / "run", **QUIET}
    with pytest.raises(LookupError, match="of the user's own"):
        sn.fit(net(), digits[0], callbacks=[fails], **settings)
    again = sn.fit(net(1), digits[0], **settings)
    assert again["loss"] == sn.fit(net(), digits[0], epochs=2, **QUIET)["loss"]
