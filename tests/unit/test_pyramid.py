"""``feature_pyramid``: which values the names mean, and what it leaves alone."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn

PAPER_D = (2, 2, 3, 3, 3)  # convolutions in each block of configuration D
PAPER_E = (2, 2, 4, 4, 4)


@pytest.fixture(scope="module")
def vgg16() -> sn.VGG:
    torch.manual_seed(0)
    return sn.vgg16(head=sn.VGGHead(pool=7, hidden=(24, 16)), num_classes=3).eval()


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "blocks"), [("vgg16", PAPER_D), ("vgg19", PAPER_E)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_vgg_answers_to_every_name_of_the_paper(name: str, blocks: tuple[int, ...], batch_norm: bool) -> None:
    with torch.device("meta"):
        net = sn.build(name, batch_norm=batch_norm, head="imagenet")
    names = [
        f"{kind}{block}_{i + 1}" for block, n in enumerate(blocks, 1) for i in range(n) for kind in ("conv", "relu")
    ]
    names += [f"pool{block}" for block in range(1, 6)] + ["fc6", "relu6", "fc7", "relu7", "fc8"]
    pyramid = sn.feature_pyramid(net, names)
    maps = pyramid(torch.empty(1, 3, 224, 224, device="meta"))
    for stage, value in maps.items():
        assert value.shape[1] == pyramid.channels[stage]
        if stage[:2] in ("co", "po") or "_" in stage:
            assert 224 // pyramid.strides[stage] == value.shape[2], stage
        else:
            assert pyramid.strides[stage] == 0
            assert value.shape == (1, 1000 if stage == "fc8" else 4096)


def test_names_mean_the_values_of_the_paper(vgg16: sn.VGG, picture: Tensor) -> None:
    stages = ["conv1_1", "relu1_2", "conv4_3", "relu4_3", "pool4", "conv5_3", "fc6", "relu6", "fc7", "relu7", "fc8"]
    with torch.no_grad():
        maps = sn.feature_pyramid(vgg16, stages)(picture)
        values: dict[int, Tensor] = {}
        x = picture
        for i, layer in enumerate(vgg16.features):
            x = layer(x.clone())  # in-place layers overwrite the copy only
            values[i] = x
        head = [vgg16.avgpool(x).flatten(1)]
        for layer in vgg16.classifier:
            head.append(layer(head[-1].clone()))
    assert torch.equal(maps["conv1_1"], values[0])
    assert torch.equal(maps["relu1_2"], values[3])
    assert torch.equal(maps["conv4_3"], values[21])
    assert torch.equal(maps["relu4_3"], values[22])
    assert torch.equal(maps["pool4"], values[23])
    assert torch.equal(maps["conv5_3"], values[28])
    assert torch.equal(maps["fc6"], head[1])
    assert torch.equal(maps["relu6"], head[2])
    assert torch.equal(maps["fc7"], head[4])
    assert torch.equal(maps["relu7"], head[5])
    assert torch.equal(maps["fc8"], head[7])
    assert (maps["conv4_3"] < 0).any()  # really before the ReLU
    assert torch.equal(maps["conv4_3"].relu(), maps["relu4_3"])


def test_with_batch_norm_the_value_before_the_relu_is_the_normed_one(picture: Tensor) -> None:
    net = sn.vgg11(batch_norm=True, head="compact").eval()
    with torch.no_grad():
        maps = sn.feature_pyramid(net, ["conv1_1", "relu1_1", "fc6", "relu6"])(picture)
        assert torch.equal(maps["conv1_1"], net.features[1](net.features[0](picture)))
        assert torch.equal(maps["conv1_1"].relu(), maps["relu1_1"])
        assert torch.equal(maps["fc6"].relu(), maps["relu6"])


def test_layers_behind_the_last_stage_are_left_out_and_the_others_shared() -> None:
    net = sn.resnet18()
    pyramid = sn.feature_pyramid(net, ["layer1", "layer2"])
    names = {name.removeprefix("body.") for name, _ in pyramid.named_parameters()}
    assert names == {name for name, _ in net.named_parameters() if not name.startswith(("layer3", "layer4", "fc"))}
    assert pyramid.get_parameter("body.layer1.0.conv1.weight") is net.layer1[0].conv1.weight  # type: ignore[union-attr]


def test_a_stage_in_training_mode_moves_the_statistics_of_the_net() -> None:
    net = sn.resnet20().train()
    pyramid = sn.feature_pyramid(net)
    assert pyramid.training
    pyramid(torch.randn(4, 3, 32, 32))
    assert net.bn1.num_batches_tracked == 1  # type: ignore[union-attr]
    pyramid.eval()(torch.randn(4, 3, 32, 32))
    assert net.bn1.num_batches_tracked == 1  # type: ignore[union-attr]


def test_freezing_before_or_after_holds_in_the_pyramid() -> None:
    net = sn.resnet20()
    before = sn.feature_pyramid(net)
    sn.freeze(net, "layer1")
    after = sn.feature_pyramid(net)
    for pyramid in (before, after):
        pyramid.train()(torch.randn(4, 3, 32, 32))
        assert net.bn1.num_batches_tracked == 0  # type: ignore[union-attr]
    assert net.layer2[0].bn1.num_batches_tracked == 2  # type: ignore[union-attr]


def test_a_pyramid_can_be_copied_moved_and_stored() -> None:
    pyramid = sn.feature_pyramid(sn.resnet20().eval())
    twin = copy.deepcopy(pyramid).double()
    x = torch.randn(1, 3, 32, 32)
    assert torch.allclose(twin(x.double())["layer3"].float(), pyramid(x)["layer3"], atol=1e-4)
    twin.load_state_dict(pyramid.state_dict())


def test_out_channels_is_the_common_width_or_an_error_that_says_what_to_do() -> None:
    net = sn.resnet18(stem="cifar")
    assert sn.feature_pyramid(net, ["layer2"]).out_channels == 128
    assert sn.feature_pyramid(sn.vgg11(head="linear"), ["features.15", "features.20"]).out_channels == 512
    with pytest.raises(sn.OptionError) as caught:
        hasattr(sn.feature_pyramid(net), "out_channels")
    assert str(caught.value) == (
        "feature_pyramid: expected stages of one width; "
        "got {'layer1': 64, 'layer2': 128, 'layer3': 256, 'layer4': 512}. "
        "Put torchvision.ops.FeaturePyramidNetwork on top, or take one stage."
    )


@pytest.mark.parametrize(
    ("stages", "why"),
    [
        (
            ["layer5"],
            r"expected the name of a stage; got 'layer5'\. Did you mean 'layer\d'\? The stages are layer1, layer2,",
        ),
        (["fc"], r"got 'fc'\. The stages are layer1, layer2, layer3\."),
        ([], r"expected at least one stage; got none\. There are layer1, layer2, layer3\."),
    ],
)
def test_stages_that_do_not_exist_are_refused_with_those_that_do(stages: list[str], why: str) -> None:
    with pytest.raises(sn.OptionError, match=why):
        sn.feature_pyramid(sn.resnet20(), stages)


def test_other_modules_are_refused() -> None:
    module: Any = nn.Conv2d(3, 3, 1)
    with pytest.raises(sn.OptionError, match="expected a net of the zoo; got a Conv2d"):
        sn.feature_pyramid(module)


def test_an_input_that_cannot_pass_is_refused_in_the_words_of_the_net() -> None:
    pyramid = sn.feature_pyramid(sn.vgg11(head="linear"))
    with pytest.raises(sn.ShapeError, match="expected an input of at least 32x32; got 16x16"):
        pyramid(torch.zeros(1, 3, 16, 16))
    with pytest.raises(sn.ShapeError, match="more than one value per channel"):
        sn.feature_pyramid(sn.resnet18())(torch.zeros(1, 3, 32, 32))
    sn.feature_pyramid(sn.resnet18()).eval()(torch.zeros(1, 3, 32, 32))
