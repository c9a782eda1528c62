"""Test-time augmentation against views made by hand."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

import smallnets as sn
from smallnets import OptionError
from smallnets.training.tta import Views


def mean_log(logits: list[Tensor]) -> Tensor:
    return torch.stack([part.softmax(dim=1) for part in logits]).mean(dim=0).log()


@pytest.fixture(scope="module")
def vgg() -> sn.VGG:
    torch.manual_seed(0)
    return sn.vgg(cfg=[8, "M", 16, "M", 16, "M"], head=sn.VGGHead(pool=4, hidden=(32,)), num_classes=5).eval()


@torch.no_grad()
def test_flip_is_the_mean_of_both_mirror_images() -> None:
    net, x = sn.lenet5().eval(), torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(Views(net, "flip", None)(x), mean_log([net(x), net(x.flip(3))]))


@torch.no_grad()
def test_ten_crops_are_torchvisions() -> None:
    net, x = sn.lenet5().eval(), torch.randn(3, 1, 40, 44)
    expected = mean_log([net(crop) for crop in tv.ten_crop(x, [32, 32])])
    torch.testing.assert_close(Views(net, "ten-crop", None)(x), expected)


@torch.no_grad()
def test_ten_crops_of_a_picture_of_the_nets_own_size_come_from_an_enlarged_one() -> None:
    net, x = sn.lenet5().eval(), torch.randn(2, 1, 32, 32)
    large = tv.resize(x, [36, 36], antialias=False)
    expected = mean_log([net(crop) for crop in tv.ten_crop(large, [32, 32])])
    torch.testing.assert_close(Views(net, "ten-crop", None)(x), expected)


@torch.no_grad()
def test_scales_are_averaged_over() -> None:
    net, x = sn.resnet20().eval(), torch.randn(2, 3, 32, 48)
    expected = mean_log([net(tv.resize(x, [24, 36])), net(x), net(tv.resize(x, [40, 60], antialias=False))])
    torch.testing.assert_close(Views(net, None, (24, 32, 40))(x), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_dense_is_the_class_map_averaged_over_space_and_mirrored(vgg: sn.VGG) -> None:
    # The natural size of this net is 224, its head takes 4x4 of the 28x28 map in windows of 7.
    net = sn.to_fully_convolutional(vgg)
    x = torch.randn(2, 3, 240, 256)
    expected = mean_log([net(x).mean(dim=(2, 3)), net(x.flip(3)).mean(dim=(2, 3))])
    assert net(x).shape[2:] != (1, 1)
    torch.testing.assert_close(Views(vgg, "dense", None)(x), expected)


def test_accuracy_is_reported_beside_the_plain_one() -> None:
    torch.manual_seed(0)
    net, x, y = sn.resnet20(), torch.randn(20, 3, 32, 32), torch.arange(20) % 10
    plain, flip = sn.evaluate(net, (x, y)), sn.evaluate(net, (x, y), tta="flip")
    assert flip.plan["tta"] == "flip" and flip.plan["plain_accuracy"] == plain.accuracy
    assert flip.loss != plain.loss and flip.n == 20
    assert flip.loss <= (plain.loss + sn.evaluate(net, (x.flip(3), y)).loss) / 2 + 1e-9  # Jensen's inequality


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (sn.lenet5, {"tta": "flop"}, "evaluate: expected tta to be one of None, 'flip', 'ten-crop', 'dense'; got 'flop'. Did you"),
    (sn.lenet5, {"tta": "dense"}, "evaluate: expected a VGG or an AlexNet for tta='dense'; got LeNet."),
    (sn.lenet5, {"scales": (0,)}, "evaluate: expected every side in scales to be an integer of at least 1; got 0."),
    (sn.lenet5, {"tta": "ten-crop", "scales": (32,)}, "evaluate: expected tta='ten-crop' without scales; got [32]."),
    (sn.lenet5, {"scales": (48,)}, "resize the pictures to 32x32"),
]  # fmt: skip


@pytest.mark.parametrize(("builder", "options", "text"), BAD)
def test_bad_arguments(builder: Any, options: dict[str, Any], text: str) -> None:
    data = (torch.randn(2, 1, 32, 32), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        sn.evaluate(builder(), data, **options)
    assert isinstance(caught.value, OptionError | sn.ShapeError)


@torch.no_grad()
def test_a_class_that_no_view_believes_in_keeps_a_finite_logit() -> None:
    sure = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    sure[1].weight.fill_(100)
    sure[1].weight[1] *= -1
    assert Views(sure, "flip", None)(torch.ones(1, 1, 2, 2)).isfinite().all()
