"""A batch of one leaves some norms a single value: refused up to the very side at which PyTorch refuses."""

import pytest
import torch

import smallnets as sn

CASES: list[tuple[sn.Net, int, bool]] = [
    (sn.resnet18(num_classes=2), 32, True),
    (sn.resnet18(stem="cifar", num_classes=2), 8, True),
    (sn.resnet20(), 4, True),
    (sn.resnet20(norm="group"), 2, False),
    (sn.resnet50_layer4(), 16, True),
    (sn.vgg([8, "M", 8, "M", 8], batch_norm=True, head="linear"), 7, True),
]


@pytest.mark.parametrize(("net", "side", "in_training_only"), CASES)
def test_the_last_side_that_is_refused(net: sn.Net, side: int, in_training_only: bool) -> None:
    net.train()
    with pytest.raises(sn.ShapeError, match="more than one value per channel for its norms; got a batch of one"):
        net(torch.randn(1, 3, side, side))
    assert net(torch.randn(1, 3, side + 1, side)).isfinite().all()
    assert net(torch.randn(2, 3, side, side)).isfinite().all()
    if in_training_only:
        assert net.eval()(torch.randn(1, 3, side, side)).isfinite().all()


def test_batch_norm_behind_the_pool_refuses_every_side() -> None:
    net = sn.vgg([4], head="compact")
    with pytest.raises(sn.ShapeError, match=r"Give a larger batch, or call eval\(\) first\."):
        net(torch.randn(1, 3, 64, 64))
    assert net.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 10)
