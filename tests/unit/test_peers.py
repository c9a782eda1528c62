"""What users of timm and torchvision reach for; gradient checkpointing computes and learns the same."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from zoo_cases import NARROW, ONE_A_FAMILY, pictures

each_family = pytest.mark.parametrize("name", ONE_A_FAMILY)


def build(name: str) -> sn.Net:
    torch.manual_seed(0)
    return sn.build(name, num_classes=10, **NARROW.get(name, {}))


@each_family
def test_the_head_in_two_steps(name: str) -> None:
    net, x = build(name).eval(), pictures(name)
    features = net.forward_features(x)
    before = net.forward_head(features, pre_logits=True)
    assert before.shape == (2, net.num_features)
    assert torch.equal(net.get_classifier()(before), net(x))
    assert torch.equal(copy.deepcopy(net).reset_classifier(0)(x), before)


@each_family
def test_feature_info_answers_as_timms_does(name: str) -> None:
    net = build(name)
    info = pickle.loads(pickle.dumps(net.feature_info))
    assert info == net.feature_info == copy.deepcopy(info) and isinstance(info, tuple)
    assert info.channels() == [stage.channels for stage in info]
    assert info.reduction() == [stage.stride for stage in info]
    assert info.module_name() == [stage.name for stage in info]
    assert (info.module_name(-1), info.channels(-1), info.reduction(-1)) == tuple(info[-1])


def test_the_pool_of_a_head_is_kept() -> None:
    assert sn.resnet20().reset_classifier(3, "avg").num_classes == 3
    assert sn.vgg11(head="linear").reset_classifier(3, global_pool="avg").num_classes == 3
    with pytest.raises(sn.OptionError, match="lenet5: expected global_pool to be one of None; got 'avg'"):
        sn.lenet5().reset_classifier(3, "avg")
    with pytest.raises(sn.OptionError, match="resnet20: expected global_pool to be one of None, 'avg'; got 'max'"):
        sn.resnet20().reset_classifier(3, "max")


def test_a_pruned_last_layer_is_replaced_by_one_that_fits() -> None:
    net = sn.resnet20().eval()
    net.layer3, net.fc = nn.Identity(), nn.Linear(32, 10)  # type: ignore[assignment]
    assert net.reset_classifier(4)(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    assert net.num_features == 32


def test_names_of_torchvision_and_timm() -> None:
    assert (sn.resnet18().inplanes, sn.resnet20().inplanes, sn.resnet50_layer4().inplanes) == (512, 64, 1024)
    net = sn.resnet20()
    assert net.no_weight_decay() == {name for name, _ in net.named_parameters() if "bn" in name or "bias" in name}


@pytest.mark.parametrize("name", [*ONE_A_FAMILY])
def test_checkpointing_computes_and_learns_the_same_in_less_memory(name: str) -> None:
    plain = build(name)
    frugal = copy.deepcopy(plain)
    frugal.set_grad_checkpointing()
    x = pictures(name, 2, more=(3, 3))
    results: list[list[Tensor]] = []
    for net in (plain, frugal):
        torch.manual_seed(1)  # dropout falls
        net(x).square().sum().backward()
        grads = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        results.append([*grads, *net.buffers()])  # batch norms have taken the batch once
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    sizes = [sn.summarize(net, tuple(x.shape[1:])).training_memory(2) for net in (frugal, plain)]
    assert sizes[0] < sizes[1]
    assert torch.equal(torch.fx.symbolic_trace(frugal.eval())(x), plain.eval()(x))
    frugal.set_grad_checkpointing(False)
    assert sn.summarize(frugal, tuple(x.shape[1:])).training_memory(2) == sizes[1]


def test_the_net_of_1998_says_that_it_does_not_checkpoint() -> None:
    with pytest.raises(sn.OptionError, match="lenet5 of 1998: expected no gradient checkpointing"):
        sn.lenet5(variant="1998").set_grad_checkpointing()
