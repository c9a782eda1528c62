"""Every net of the registry can be summarised, and the figures hold against a real run."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn

NETS = [name for name in sn.list_models() if name != "resnet1202"]


def meta(name: str, **options: Any) -> sn.Net:
    with torch.device("meta"):
        return sn.build(name, **options)


@pytest.mark.parametrize("name", NETS)
def test_shapes_parameters_and_macs_are_those_of_a_real_run(name: str) -> None:
    net = meta(name)
    summary = sn.summarize(net, net.input_size)
    seen: dict[str, Any] = {}

    def note(path: str) -> Any:
        return lambda module, inputs, output: seen.update({path: (module, tuple(inputs[0].shape), output)})

    handles = [
        module.register_forward_hook(note(path))
        for path, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    net.eval()(torch.empty(1, *net.input_size, device="meta"))
    for handle in handles:
        handle.remove()
    rows = {row.path: row for row in summary.rows if row.kind == "module"}
    macs = 0
    for path, (module, shape, output) in seen.items():
        assert rows[path].input == shape
        assert rows[path].output == tuple(output.shape)
        assert rows[path].params == sum(parameter.numel() for parameter in module.parameters())
        macs += output.numel() * weights_behind(module)
    assert summary.totals.macs == macs
    assert summary.totals.params == sum(parameter.numel() for parameter in net.parameters())
    assert summary.failure is None
    assert summary.notes == ()


def weights_behind(module: nn.Module) -> int:
    """Multiply-accumulates for each element of the output."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight[0].numel()


@pytest.mark.parametrize("name", NETS)
def test_shortcuts_fit_at_odd_sizes_too(name: str) -> None:
    net = meta(name)
    assert sn.check_shortcuts(net, net.input_size) == []
    if not name.startswith(("lenet5", "convnet3")):  # which take their natural size only
        assert sn.check_shortcuts(net, (3, 97, 111)) == []


@pytest.mark.parametrize("name", NETS)
def test_the_smallest_picture_is_the_one_that_the_net_names(name: str) -> None:
    net = meta(name)
    height, width = sn.min_input_size(net)
    assert height == width
    if height > 1:
        with pytest.raises(sn.ShapeError):
            net(torch.empty(1, net.input_size[0], height - 1, width, device="meta"))
    net.eval()(torch.empty(1, net.input_size[0], height, width, device="meta"))


@pytest.mark.parametrize("name", [name for name in NETS if not name.startswith(("lenet5", "convnet3"))])
def test_the_strides_of_the_stages_are_their_jumps(name: str) -> None:
    net = meta(name)
    for stage in net.feature_info:
        assert sn.receptive_field(net, net.input_size, at=stage.name).jump == (stage.stride, stage.stride)


def test_a_picture_too_small_explains_itself_in_the_nets_own_words() -> None:
    summary = sn.summarize(meta("vgg16"), (3, 16, 16))
    assert summary.model == "vgg16"
    assert summary.rows[-1].path == "features.29"
    assert summary.failure == (
        "vgg16: expected an input of at least 32x32; got 16x16, which is 1x1 after the pool features.23 and nothing "
        "after the pool features.30. Enlarge the picture or leave out a pool: vgg(cfg=[...])."
    )


@pytest.mark.parametrize(
    ("name", "options", "params", "macs", "field"),
    [  # He et al. 2016, table 6, and what the recurrence gives for the forms that the papers leave open
        ("resnet20", {}, 269_722, 40_551_040, None),
        ("resnet32", {}, 464_154, 68_862_592, None),
        ("resnet44", {}, 658_586, 97_174_144, None),
        ("resnet56", {}, 853_018, 125_485_696, None),
        ("resnet110", {}, 1_727_962, 252_887_680, None),
        ("resnet20", {"shortcut": "B"}, 272_474, 40_813_184, None),
        ("resnet18", {"stem": "cifar"}, 11_173_962, 555_422_720, 109),
        ("resnet50", {}, 25_557_032, 4_089_184_256, 427),
        ("resnet50", {"stride_in": "1x1"}, 25_557_032, None, 483),
        ("alexnet", {}, 61_100_840, 714_188_480, 195),
        ("vgg16", {}, 138_357_544, 15_470_264_320, 212),
        ("vgg19", {}, 143_667_240, 19_632_062_464, 268),
        ("lenet5", {}, 61_706, 416_520, None),
    ],
)
def test_published_figures(name: str, options: Any, params: int, macs: int | None, field: int | None) -> None:
    net = meta(name, **options)
    side = 32 if options.get("stem") == "cifar" or name == "lenet5" or net.num_classes == 10 else 224
    totals = sn.summarize(net, (net.input_size[0], side, side)).totals
    assert totals.params == params
    assert macs is None or totals.macs == macs
    assert field is None or sn.receptive_field(net, (3, side, side)).size == (field, field)


@pytest.mark.parametrize(
    ("options", "name", "line"),
    [
        ({"variant": "wide", "in_channels": 3, "input_size": 224, "num_classes": 2}, "lenet5", "19.47"),
        ({"hidden": (4096, 512), "num_classes": 2}, "alexnet", "10.90"),
    ],
)
def test_the_classic_megabytes_of_the_textbook_nets(options: Any, name: str, line: str) -> None:
    net = meta(name, **options)
    side = 256 if name == "alexnet" else 224
    assert f"Forward/backward pass size (MB): {line}" in sn.summarize(net, (3, side, side)).to_classic()


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet18", "resnet20", "resnet50_layer4", "convnet3"])
def test_training_memory_is_what_autograd_keeps(name: str) -> None:
    options: dict[str, Any] = {"alexnet": {"hidden": (64, 48)}, "vgg11": {"head": "linear"}}.get(name, {})
    net = sn.build(name, **options).train()
    size = net.input_size if net.input_size[1] < 96 else (3, 96, 96)
    owned = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        return kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = net(torch.rand(2, *size))
    real = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in owned)
    assert out.shape[0] == 2
    assert sn.summarize(net, size).training_memory(batch_size=2) == real


def test_vgg19_is_vgg16_and_three_convolutions() -> None:
    diff = sn.summarize(meta("vgg16"), (3, 224, 224)).diff(sn.summarize(meta("vgg19"), (3, 224, 224)))
    assert sorted(row.type for row in diff.added) == ["Conv2d"] * 3 + ["ReLU"] * 3
    assert (diff.removed, diff.changed) == ((), ())
    assert diff.params == 143_667_240 - 138_357_544
    assert diff.macs == sum(row.macs for row in diff.added) == 19_632_062_464 - 15_470_264_320
