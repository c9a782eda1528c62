"""Where a file has the net: beside other tensors, under any key, next to a second net, without its head."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import smallnets as sn

State = dict[str, Any]


def trained(classes: int = 10) -> sn.ResNet:
    net = sn.resnet20(num_classes=classes)
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
    return net


def under(prefix: str, state: dict[str, Tensor], without: str = "none") -> State:
    return {f"{prefix}{name}": value for name, value in state.items() if not name.startswith(without)}


def same(net: nn.Module, other: nn.Module, without: str = "none") -> bool:
    mine, theirs = net.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine if not name.startswith(without))


BESIDE: list[State] = [
    {"best_acc1": torch.tensor(91.7)},
    {"rng_state": torch.get_rng_state(), "loss": torch.tensor(0.1, dtype=torch.float64)},
    {"class_weights": torch.ones(10), "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
    {"history": [torch.tensor(1.0), torch.tensor(2.0)], "args": {"lr": 0.1, "mean": torch.zeros(3)}},
]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("keys", [("state_dict",), ("model",), ("ema",), ("anything at all",), ("a", "b", "c")])
@pytest.mark.parametrize("in_file", [True, False])
def test_tensors_may_stand_beside_the_state_dict(tmp_path: Path, beside: State, keys: Any, in_file: bool) -> None:
    net, content = trained(), dict[str, Any]()
    inner = content
    for key in keys:
        inner |= beside
        inner[key] = {}
        inner = inner[key]
    inner |= net.state_dict()
    if in_file:
        torch.save(content, tmp_path / "net.pt")
    other = sn.resnet20()
    line = sn.load_weights(other, tmp_path / "net.pt" if in_file else content)
    assert same(other, net)
    assert line.endswith(f"; taken out of {'.'.join(keys)!r}")


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "ema.",
        "ema.module.",
        "state_dict_ema.",
        "model_ema.",
        "network.",
        "student.",
        "backbone.",
        "a.b.c.d.",
    ],
)
@pytest.mark.parametrize("as_key", [True, False])
def test_every_wrapper_is_looked_through(prefix: str, as_key: bool) -> None:
    net, other = trained(), sn.resnet20()
    content: State = dict(net.state_dict()) if as_key else under(prefix, net.state_dict())
    for part in reversed(prefix.split(".")[:-1] if as_key else []):
        content = {part: content, "step": torch.tensor(4)}
    sn.load_weights(other, content)
    assert same(other, net)


def test_checkpointed_and_compiled_parts_have_other_names_inside() -> None:
    net, other = trained(), sn.resnet20()
    wrapped = trained()
    wrapped.load_state_dict(net.state_dict())
    names = {}
    for name, value in net.state_dict().items():
        names[
            name.replace("layer1.0.", "layer1.0._checkpoint_wrapped_module.").replace("layer2.", "layer2._orig_mod.")
        ] = value
    assert "_orig_mod" in sn.load_weights(other, names)
    assert same(other, net)
    fresh = sn.resnet20()
    fresh.layer1[0] = checkpoint_wrapper(fresh.layer1[0])  # and the net may be the one that is wrapped
    sn.load_weights(fresh, under("module.", net.state_dict()))
    assert torch.equal(fresh.layer1[0].conv1.weight, net.layer1[0].conv1.weight)


PAIRS = [
    ("student.", "teacher."),
    ("module.encoder_q.", "module.encoder_k."),
    ("model.", "ema."),
    ("", "ema."),
    ("module.", "module_ema."),
    ("net.student.backbone.", "net.teacher.backbone."),
]


@pytest.mark.parametrize(("one", "two"), PAIRS)
@pytest.mark.parametrize("keys", [True, False])
def test_two_nets_are_refused_with_both_names_until_one_is_chosen(one: str, two: str, keys: bool) -> None:
    nets = trained(), trained()
    content = under(one, nets[0].state_dict()) | under(two, nets[1].state_dict())
    if keys and one:
        content = {one[:-1]: nets[0].state_dict(), two[:-1]: nets[1].state_dict(), "epoch": 3}
    net = sn.resnet20()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(sn.WeightsError, match="expected one net that fits; got 2 in the state dict, under ") as caught:
        sn.load_weights(net, content)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    text = str(caught.value)
    for prefix in (one, two):
        distinguishing = [part for part in prefix.split(".") if part and part not in {"module", "net", "backbone"}]
        assert all(part in text for part in distinguishing)
    assert "prefix=" in text
    assert len(text) < 300
    for prefix, source in zip((one, two), nets, strict=True):
        for typed in {prefix, prefix.removesuffix(".")}:
            sn.load_weights(net, content, prefix=typed)
            assert same(net, source)


def test_the_short_name_of_the_refusal_is_what_prefix_takes() -> None:
    nets = trained(), trained()
    content = under("module.student.backbone.", nets[0].state_dict())
    content |= under("module.teacher.backbone.", nets[1].state_dict())
    with pytest.raises(
        sn.WeightsError, match=r"under 'student.backbone' and 'teacher.backbone'\. Choose: .*prefix='student"
    ):
        sn.load_weights(sn.resnet20(), content)
    net = sn.resnet20()
    for prefix in ("teacher", "teacher.backbone", "module.teacher"):
        sn.load_weights(net, content, prefix=prefix)
        assert same(net, nets[1])


def test_a_choice_that_is_not_there_names_what_is() -> None:
    content = under("student.", trained().state_dict()) | under("teacher.", trained().state_dict())
    with pytest.raises(
        sn.WeightsError, match=r"a prefix of names in the file; got 'techer'\. Did you mean 'teacher'\?"
    ):
        sn.load_weights(sn.resnet20(), content, prefix="techer")
    with pytest.raises(sn.WeightsError, match=r"They begin with student, teacher\."):
        sn.load_weights(sn.resnet20(), content, prefix="x")
    with pytest.raises(sn.OptionError, match="expected prefix to be text; got 3"):
        sn.load_weights(sn.resnet20(), content, prefix=3)  # type: ignore[arg-type]


def test_a_choice_that_others_contain_is_that_one() -> None:
    nets = trained(), trained()
    content = under("model.", nets[0].state_dict()) | under("model.ema.", nets[1].state_dict())
    net = sn.resnet20()
    for prefix, source in zip(("model", "model.ema"), nets, strict=True):
        sn.load_weights(net, content, prefix=prefix)
        assert same(net, source)
    sn.load_weights(net, content, prefix="ema")
    assert same(net, nets[1])


def test_the_refusal_does_not_hang_on_the_order_of_hashes() -> None:
    program = (
        "import smallnets as sn\n"
        "state = sn.lenet5().state_dict()\n"
        "names = {f'{p}.{n}': v.clone() for p in ('teacher', 'student', 'ema') for n, v in state.items()}\n"
        "try: sn.load_weights(sn.lenet5(), names)\n"
        "except sn.WeightsError as error: print(error)\n"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(shown) == 1
    assert "3 in the state dict, under 'ema' and 'student' and 'teacher'" in shown.pop()


def test_one_net_in_two_places_is_one_net(tmp_path: Path) -> None:
    net, other = trained(), sn.resnet20()
    content = {"model": net.state_dict(), "best": net.state_dict()}
    torch.save(content, tmp_path / "net.pt")
    for source in (content, tmp_path / "net.pt"):
        sn.load_weights(other, source)
        assert same(other, net)


def test_a_net_of_other_shapes_beside_it_is_no_second_choice() -> None:
    net, other = trained(), sn.resnet20()
    content = under("student.", net.state_dict()) | under("teacher.", sn.resnet20(num_classes=7).state_dict())
    sn.load_weights(other, content)
    assert same(other, net)


def test_a_body_under_a_prefix_beside_foreign_entries_gets_a_fresh_head() -> None:
    net, other = trained(), sn.resnet20()
    content = under("backbone.", net.state_dict(), without="fc.") | {"projection_head.0.weight": torch.ones(4, 64)}
    with pytest.raises(
        sn.WeightsError, match=r'2 missing, first fc\.weight\. Nothing was loaded\. Call .*head="reset"'
    ):
        sn.load_weights(other, content)
    line = sn.load_weights(other, content, head="reset")
    assert line.endswith("backbone. dropped, 1 entries beside it left out; fc starts afresh with 10 classes")
    assert same(other, net, without="fc.")


def test_a_momentum_encoder_with_a_head_of_its_own_gives_its_body() -> None:
    net, other = trained(), sn.resnet20()
    content = under("module.encoder_q.", net.state_dict(), without="fc.")
    content |= {f"module.encoder_q.fc.{i}.{tail}": torch.ones(64, 64) for i in (0, 2) for tail in ("weight", "bias")}
    content |= {"module.queue": torch.ones(128, 100), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    line = sn.load_weights(other, {"state_dict": content, "epoch": 200}, head="reset")
    assert same(other, net, without="fc.")
    assert "the file's fc left out" in line
    assert "fc starts afresh" in line
    with pytest.raises(sn.WeightsError, match="Nothing was loaded"):
        sn.load_weights(other, content)


def test_a_plain_body_beside_a_projector_gets_a_fresh_head() -> None:
    net, other = trained(), sn.resnet20()
    content = under("", net.state_dict(), without="fc.") | {"projector.0.weight": torch.ones(4, 64)}
    assert "projector left out" in sn.load_weights(other, content, head="reset")
    assert same(other, net, without="fc.")


def test_a_deeper_net_is_no_body_with_a_foreign_head() -> None:
    content = dict(trained().state_dict()) | {"layer4.0.conv1.weight": torch.ones(64, 64, 3, 3)}
    with pytest.raises(sn.WeightsError, match=r"1 unexpected, first layer4\.0\.conv1\.weight"):
        sn.load_weights(sn.resnet20(), content, head="reset")


@pytest.mark.parametrize("head", ["strict", "reset"])
@pytest.mark.parametrize("nested", [True, False])
def test_a_head_that_stands_beside_the_body_is_found(head: Any, nested: bool) -> None:
    net, other = trained(), sn.resnet20()
    tails = {f"fc.{tail}": net.state_dict()[f"fc.{tail}"] for tail in ("weight", "bias")}
    content: State = under("backbone.", net.state_dict(), without="fc.") | under("head.", tails)
    if nested:
        body = {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}
        content = {"encoder": body, "fc": {"weight": net.fc.weight.detach(), "bias": net.fc.bias.detach()}}
    sn.load_weights(other, {"state_dict": content}, head=head)
    assert same(other, net)


def test_the_head_of_another_net_is_not_borrowed() -> None:
    net, teacher = trained(), trained()
    content = under("student.", net.state_dict(), without="fc.") | under("teacher.", teacher.state_dict(), without="x")
    other = sn.resnet20()
    with pytest.raises(sn.WeightsError, match="got 2 in"):
        sn.load_weights(other, content, head="reset")
    assert "starts afresh" in sn.load_weights(other, content, head="reset", prefix="student")
    assert same(other, net, without="fc.")
    assert not torch.equal(other.fc.weight, teacher.fc.weight)


def test_the_first_convolution_starts_afresh_on_request() -> None:
    net, other = sn.vgg11(head="linear", num_classes=10), sn.vgg11(head="linear", num_classes=10, in_channels=5)
    before = other.features[0].weight.clone()
    line = sn.load_weights(other, net.state_dict(), first_conv="reset")
    assert line.endswith("; the first convolution starts afresh")
    assert not torch.equal(other.features[0].weight, before)
    assert other.features[0].weight.std() < 1
    assert same(other, net, without="features.0.")
    small, large = sn.resnet18(stem="cifar", num_classes=10), sn.resnet18(num_classes=10)
    sn.load_weights(small, large.state_dict(), first_conv="reset")  # of another size, too
    assert same(small, large, without="conv1.")
    on_meta = torch.device("meta")
    with on_meta:
        empty = sn.resnet20(in_channels=1)
    sn.load_weights(empty, trained().state_dict(), first_conv="reset")
    assert empty.conv1.weight.isfinite().all()
    assert 0 < empty.conv1.weight.std() < 1
