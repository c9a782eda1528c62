"""Batch norms folded away; PyTorch's own fusion is the oracle for one pair."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

import smallnets as sn


def shaken(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    for value in (norm.weight, norm.bias, norm.running_mean):
        if value is not None:
            nn.init.normal_(value)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_folded_as_pytorch_does(bias: bool, groups: int) -> None:
    pair = nn.Sequential(nn.Conv2d(4, 6, 3, bias=bias, groups=groups), shaken(nn.BatchNorm2d(6))).eval()
    expected = fuse_conv_bn_eval(pair[0], pair[1])
    fused = sn.fuse(pair)
    assert isinstance(fused[1], nn.Identity)
    assert torch.allclose(fused[0].weight, expected.weight, atol=1e-6)
    assert torch.allclose(fused[0].bias, expected.bias, atol=1e-6)


def test_a_linear_layer_is_folded_as_pytorch_does() -> None:
    pair = nn.Sequential(nn.Linear(4, 6), shaken(nn.BatchNorm1d(6, affine=True))).eval()
    expected = fuse_linear_bn_eval(pair[0], pair[1])
    fused = sn.fuse(pair)
    assert torch.allclose(fused[0].weight, expected.weight, atol=1e-6)
    assert torch.allclose(fused[0].bias, expected.bias, atol=1e-6)


def test_a_norm_without_scale_is_folded() -> None:
    pair = nn.Sequential(nn.Conv2d(2, 3, 1), shaken(nn.BatchNorm2d(3, affine=False))).eval()
    x = torch.randn(2, 2, 5, 5)
    assert torch.allclose(sn.fuse(pair)(x), pair(x), atol=1e-5)


class Twice(nn.Module):
    """A convolution whose output is used beside its norm, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), shaken(nn.BatchNorm2d(2))
        self.shared, self.after = nn.Conv2d(2, 2, 1), shaken(nn.BatchNorm2d(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.after(self.shared(self.shared(x + self.norm(x))))


def test_what_cannot_be_folded_stays_and_computes_the_same() -> None:
    net = Twice().eval()
    fused = sn.fuse(net)
    assert isinstance(fused.norm, nn.BatchNorm2d)
    assert isinstance(fused.after, nn.BatchNorm2d)
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(fused(x), net(x))


def test_the_model_is_left_alone_and_the_new_one_is_in_eval_mode() -> None:
    net = sn.resnet20().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fused = sn.fuse(net)
    assert net.training
    assert not any(layer.training for layer in fused.modules())
    assert isinstance(fused, sn.ResNet)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_fused_net_cannot_be_saved_as_a_net_of_the_zoo(tmp_path) -> None:
    with pytest.raises(
        sn.WeightsError, match=r"expected a net as its builder makes it; got conv1 = Conv2d\(.*\) where"
    ):
        sn.save(sn.fuse(sn.resnet20()), tmp_path / "net.safetensors")


def test_a_module_that_cannot_be_traced_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(
        sn.OptionError, match=r"^fuse: expected a traceable module; got a Branching that torch\.fx cannot"
    ):
        sn.fuse(Branching())
