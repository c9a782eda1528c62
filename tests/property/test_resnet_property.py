"""Random residual nets: shapes as predicted, additions that never broadcast, dilation that changes no value."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import smallnets as sn
from smallnets.models.blocks import add
from smallnets.models.resnet import BasicBlock, Bottleneck, ResNet, StagePlan, Style, ZeroPadShortcut

styles = st.builds(
    Style,
    shortcut=st.sampled_from(["A", "B", "C"]),
    stride_in=st.sampled_from(["3x3", "1x1"]),
    residual=st.booleans(),
    shortcut_bias=st.booleans(),
    conv_bias=st.booleans(),
    branch_scale=st.sampled_from([0.0, 1.0]),
    groups=st.sampled_from([1, 2]),
    width_per_group=st.sampled_from([32, 64, 128]),
    norm=st.sampled_from(["batch", "group"]),
    inplace=st.booleans(),
)
stage_plans = st.lists(
    st.tuples(st.sampled_from([2, 3, 8, 16, 40]), st.lists(st.integers(1, 3), min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)

# A stride only where the width changes too, so that both nets have the same projections.
paper_like_plans = st.lists(
    st.tuples(st.sampled_from([2, 3, 8, 40]), st.integers(1, 3).map(lambda stride: [stride, 1])),
    min_size=2,
    max_size=3,
    unique_by=lambda plan: plan[0],
)


def make_net(plans: list[tuple[int, list[int]]], block: Any, style: Style, stem: Any, dilate: list[bool]) -> ResNet:
    widths = sorted(width for width, _ in plans)  # shortcut A adds channels, so a net does not narrow
    stages = [
        StagePlan(f"layer{i}", width, tuple(strides))
        for i, (width, (_, strides)) in enumerate(zip(widths, plans, strict=True), start=1)
    ]
    return ResNet("net", block, stages, num_classes=3, in_channels=2, side=32, stem=stem, style=style, dilate=dilate)


@settings(max_examples=150, deadline=None)
@given(
    plans=stage_plans,
    block=st.sampled_from([BasicBlock, Bottleneck]),
    style=styles,
    stem=st.sampled_from(["imagenet", "cifar"]),
    dilate=st.lists(st.booleans(), max_size=2),
    size=st.tuples(st.integers(0, 30), st.integers(1, 30)),
    batch=st.integers(1, 2),
    training=st.booleans(),
)
def test_any_net_takes_any_picture_or_says_why_not(
    plans: list[tuple[int, list[int]]],
    block: type[BasicBlock] | type[Bottleneck],
    style: Style,
    stem: str,
    dilate: list[bool],
    size: tuple[int, int],
    batch: int,
    training: bool,
) -> None:
    net = make_net(plans, block, style, stem, dilate).train(training)
    x = torch.randn(batch, 2, *size)
    if min(size) == 0:
        with pytest.raises(sn.ShapeError, match="at least 1x1"):
            net(x)
        return
    stage = net.feature_info[-1]
    try:
        features = net.forward_features(x)
    except sn.ShapeError as error:
        assert "more than one value per channel" in str(error)
        assert batch == 1
        assert "Expected more than 1 value per channel" in str(error.__cause__)
        return
    predicted = tuple(-(-side // stage.stride) for side in size)
    assert features.shape == (batch, stage.channels, *predicted)
    assert net(x).shape == (batch, 3)


@settings(max_examples=60, deadline=None)
@given(
    plans=paper_like_plans,
    block=st.sampled_from([BasicBlock, Bottleneck]),
    style=styles,
    dilate=st.lists(st.booleans(), min_size=2, max_size=2),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_a_dilated_net_has_the_strided_nets_values(
    plans: list[tuple[int, list[int]]],
    block: type[BasicBlock] | type[Bottleneck],
    style: Style,
    dilate: list[bool],
    size: tuple[int, int],
) -> None:
    """Chen et al. 2017: dilation in place of stride only makes the map denser; batch norm at rest is pointwise."""
    style = Style(**{**vars(style), "norm": "batch"})
    torch.manual_seed(0)
    strided = make_net(plans, block, style, "cifar", []).double().eval()
    dense = make_net(plans, block, style, "cifar", dilate).double().eval()
    dense.load_state_dict(strided.state_dict())
    x = torch.randn(1, 2, *size, dtype=torch.double)
    expected = strided.forward_features(x)
    step = strided.feature_info[-1].stride // dense.feature_info[-1].stride
    torch.testing.assert_close(dense.forward_features(x)[:, :, ::step, ::step], expected)


shapes = st.tuples(*[st.integers(1, 3)] * 4)


@given(branch=shapes, shortcut=shapes, inplace=st.booleans())
def test_the_addition_never_broadcasts(branch: tuple[int, ...], shortcut: tuple[int, ...], inplace: bool) -> None:
    a, b = torch.randn(branch), torch.randn(shortcut)
    if branch == shortcut:
        assert torch.equal(add(a.clone(), b, inplace), a + b)
    else:
        with pytest.raises(sn.ShapeError) as info:
            add(a, b, inplace)
        assert str(info.value) == (
            f"residual addition: expected a shortcut of the branch's shape {branch}; got {shortcut}. "
            "Give the shortcut the branch's stride and channels."
        )


def test_a_wrong_shortcut_is_refused_inside_a_net_and_its_trace_by_check_shortcuts() -> None:
    """A stride forgotten in the projection leaves a 1x1 branch beside a 2x2 shortcut, which would broadcast."""
    net = sn.resnet20(shortcut="B").eval()
    projection = net.get_submodule("layer3.0.downsample.0")
    assert isinstance(projection, torch.nn.Conv2d)
    projection.stride = (1, 1)
    with pytest.raises(sn.ShapeError, match="residual addition"):
        net(torch.zeros(1, 3, 3, 3))
    traced = torch.fx.symbolic_trace(net)  # holds a plain addition, which other tools know
    found = sn.check_shortcuts(traced, (3, 3, 3))
    assert [mismatch.shapes for mismatch in found] == [((2, 64, 1, 1), (2, 64, 2, 2))]
    assert found[0].broadcast


@given(
    channels=st.tuples(st.integers(1, 4), st.integers(0, 5)),
    stride=st.integers(1, 3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_shortcut_a_is_the_picture_with_zeros_around(
    channels: tuple[int, int], stride: int, size: tuple[int, int]
) -> None:
    given_channels, more = channels
    x = torch.randn(2, given_channels, *size)
    out: Tensor = ZeroPadShortcut(given_channels, given_channels + more, stride)(x)
    front = more // 2
    assert torch.equal(out[:, front : front + given_channels], x[:, :, ::stride, ::stride])
    assert out.shape[1] == given_channels + more
    assert not out[:, :front].any() and not out[:, front + given_channels :].any()


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["resnet18", "resnet50", "resnet20", "resnet50_layer4"]),
    data=st.data(),
    side=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_builders_take_every_combination_of_their_options(
    name: str, data: st.DataObject, side: tuple[int, int]
) -> None:
    choices: dict[str, list[object]] = {
        "norm": ["batch", "group"],
        "inplace": [True, False],
        "num_classes": [0, 5],
    }
    if name != "resnet50_layer4":
        choices |= {"shortcut": ["A", "B", "C"], "residual": [True, False]}
    if name in ("resnet18", "resnet50"):
        choices |= {
            "stem": ["imagenet", "cifar"],
            "stride_in": ["3x3", "1x1"],
            "shortcut_bias": [True, False],
            "zero_init_residual": [True, False],
            "dilate": [[False, False, False], [False, True, True], [True, True, True]],
        }
    if name == "resnet50":
        choices |= {"groups": [1, 2, 32], "width_per_group": [4, 64]}
    options = {key: data.draw(st.sampled_from(values), label=key) for key, values in choices.items()}
    if options.get("zero_init_residual") and not options["residual"]:
        with pytest.raises(sn.OptionError, match=r"expected residual=True where zero_init_residual is set"):
            sn.build(name, **options)
        return
    with torch.device("meta"):
        net = sn.build(name, **options).eval()
        out = net.forward_features(torch.empty(2, 3, *side))
        assert net.forward_head(out).shape == (2, options["num_classes"] or net.num_features)
    stage = net.feature_info[-1]
    assert out.shape == (2, stage.channels, *(-(-n // stage.stride) for n in side))
    if options["norm"] == "group":
        assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in net.modules())
