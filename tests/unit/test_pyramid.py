"""``feature_pyramid``: which values the names mean, and what it leaves alone."""

import copy
from typing import Any, cast

import pytest
import torch
import torchvision
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


def test_modules_without_named_layers_are_refused() -> None:
    with pytest.raises(sn.OptionError, match="expected a net whose layers make maps; got a Conv2d"):
        sn.feature_pyramid(nn.Conv2d(3, 3, 1))
    with pytest.raises(sn.OptionError, match=r"expected a torch\.nn\.Module; got a str"):
        sn.feature_pyramid(cast(Any, "resnet18"))


def test_a_net_that_cannot_be_traced_is_refused() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) if x.sum() > 0 else x

    with pytest.raises(
        sn.OptionError, match=r"that takes none\. Decides: expected a forward whose course follows from"
    ):
        sn.feature_pyramid(Decides())


class Block(nn.Module):
    """A residual block that writes over its shortcut, and decides by the sizes, which torch.fx cannot follow."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 8, 3, stride, 1)
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        if y.shape[-1] > 1 and y.shape == x.shape:
            y += x
        return self.relu(y)


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(3, 2), Block(8, 1), Block(8, 2)])
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x.relu_().mean((2, 3)))


def test_a_net_that_torch_fx_cannot_follow_is_watched_as_it_runs() -> None:
    torch.manual_seed(0)
    net = Untraceable().eval()
    pyramid = sn.feature_pyramid(net, ["blocks.0.norm", "blocks.0", "blocks.1.relu", "blocks.2"])
    assert pyramid.strides == {"blocks.0.norm": 2, "blocks.0": 2, "blocks.1.relu": 2, "blocks.2": 4}
    for side in (32, 20, 7):  # whatever the size that it was cut at
        x = torch.randn(2, 3, side, side)
        with torch.no_grad():
            maps = pyramid(x)
            first, second, third = net.blocks
            assert torch.equal(maps["blocks.0.norm"], first.norm(first.conv(x)))  # type: ignore[union-attr, operator]
            assert torch.equal(maps["blocks.0"], first(x))
            assert torch.equal(maps["blocks.1.relu"], second(first(x)))
            assert torch.equal(maps["blocks.2"], third(second(first(x))))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_watched_net_shares_its_layers_and_leaves_those_behind() -> None:
    net = Untraceable().train()
    pyramid = sn.feature_pyramid(net, strides=[2])
    assert list(pyramid.channels) == ["blocks.1"]
    names = {name.removeprefix("body.") for name, _ in pyramid.named_parameters()}
    assert names == {name for name, _ in net.named_parameters() if not name.startswith(("head", "blocks.2"))}
    copy.deepcopy(pyramid)(torch.randn(2, 3, 16, 16))
    assert net.blocks[0].norm.num_batches_tracked == 0  # type: ignore[union-attr]
    pyramid(torch.randn(2, 3, 16, 16))["blocks.1"].sum().backward()
    assert net.blocks[0].norm.num_batches_tracked == 1  # type: ignore[union-attr]
    assert net.blocks[1].conv.weight.grad is not None  # type: ignore[union-attr]
    assert net.head.weight.grad is None
    assert len(net.blocks) == 3
    assert net(torch.randn(2, 3, 16, 16)).shape == (2, 2)


@pytest.mark.parametrize("how", ["module", "function", "method", "operator"])
@pytest.mark.parametrize("traceable", [True, False])
def test_a_stage_that_is_written_over_is_copied_first(how: str, traceable: bool) -> None:
    class Overwrites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            if not traceable:
                bool(x.shape[2] > 1)
            y = self.conv(x)
            if how == "module":
                return self.relu(y)
            if how == "function":
                return nn.functional.relu(y, inplace=True)
            if how == "method":
                return y.relu_()
            y += 1
            return y

    net, x = Overwrites().eval(), torch.randn(1, 3, 8, 8)
    last = {"module": ["relu"]}.get(how, [])
    with torch.no_grad():
        assert torch.equal(sn.feature_pyramid(net, ["conv", *last])(x)["conv"], net.conv(x))


@pytest.fixture(scope="module")
def resnet() -> torchvision.models.ResNet:
    torch.manual_seed(0)
    return torchvision.models.resnet18().eval()


def test_another_nets_stages_are_its_last_maps_at_each_stride(resnet: nn.Module) -> None:
    pyramid = sn.feature_pyramid(resnet)
    assert pyramid.strides == {"relu": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
    assert pyramid.channels == {"relu": 64, "layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
    x = torch.randn(1, 3, 64, 64)
    names = {name: name for name in pyramid.strides}
    oracle = torchvision.models._utils.IntermediateLayerGetter(resnet, names)
    with torch.no_grad():
        for name, value in oracle(x).items():
            assert torch.equal(pyramid(x)[name], value)


@pytest.mark.parametrize(
    ("how", "stages"),
    [
        ({"stages": ["layer2", "layer4"]}, ["layer2", "layer4"]),
        ({"stages": [2, -1]}, ["layer2", "layer4"]),
        ({"strides": (8, 32)}, ["layer2", "layer4"]),
        ({"stages": ["layer3.1.conv1"]}, ["layer3.1.conv1"]),
        ({"names": {"layer4": "out", "layer3": "aux"}}, ["out", "aux"]),
        ({"stages": ["layer1", "layer4"], "names": {"layer4": "out"}}, ["layer1", "out"]),
    ],
)
def test_stages_by_name_index_and_stride(resnet: nn.Module, how: dict[str, Any], stages: list[str]) -> None:
    pyramid = sn.feature_pyramid(resnet, **how)
    assert list(pyramid(torch.zeros(1, 3, 64, 64))) == list(pyramid.channels) == stages


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"stages": [5]}, r"expected an index below 5; got 5\."),
        ({"strides": [3]}, r"expected one of the strides 2, 4, 8, 16, 32; got 3\."),
        ({"strides": [8], "stages": ["layer1"]}, "expected stages or strides; got both"),
        ({"stages": ["layer1"], "names": {"layer4": "out"}}, "expected names of the stages; got 'layer4'"),
        ({"names": {"layer4": "out", "layer3": "out"}}, "expected a name of its own for each stage"),
        ({"stages": ["layer7"]}, "Did you mean 'layer"),
        ({"stages": ["fc"]}, "expected the name of a stage; got 'fc'"),
    ],
)
def test_stages_that_another_net_has_not(resnet: nn.Module, how: dict[str, Any], why: str) -> None:
    with pytest.raises(sn.OptionError, match=why):
        sn.feature_pyramid(resnet, **how)


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "efficientnet_b0", "swin_t", "mnasnet0_5"])
def test_torchvisions_nets_by_stride(name: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name).eval()
    pyramid = sn.feature_pyramid(net, strides=(8, 16, 32))
    for stage, value in pyramid(torch.zeros(1, 3, 64, 64, device="meta")).items():
        side = 64 // pyramid.strides[stage]
        assert sorted(value.shape[1:]) == sorted((pyramid.channels[stage], side, side))


def test_an_input_that_cannot_pass_is_refused_in_the_words_of_the_net() -> None:
    pyramid = sn.feature_pyramid(sn.vgg11(head="linear"))
    with pytest.raises(sn.ShapeError, match="expected an input of at least 32x32; got 16x16"):
        pyramid(torch.zeros(1, 3, 16, 16))
    with pytest.raises(sn.ShapeError, match="more than one value per channel"):
        sn.feature_pyramid(sn.resnet18())(torch.zeros(1, 3, 32, 32))
    sn.feature_pyramid(sn.resnet18()).eval()(torch.zeros(1, 3, 32, 32))
