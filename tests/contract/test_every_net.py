"""The cheap contract: every net of the registry, at a small and at a non-square input."""

import copy
import json
import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets.models.build import entry
from zoo_cases import (
    NARROW,
    NETS,
    ONE_A_FAMILY,
    count_macs,
    count_parameters,
    device_for_shapes,
    free_size,
    on_meta,
    pictures,
    small_side,
)

CASES = [
    *(pytest.param((name, NARROW.get(name, {})), id=name) for name in NETS),
    *(pytest.param((name, {}), id=f"{name}-full", marks=pytest.mark.slow) for name in NARROW),
]


@pytest.fixture(scope="module", params=CASES)
def net(request: pytest.FixtureRequest) -> Iterator[sn.Net]:
    """Each net once, in eval mode; pytest runs all checks of one net before it builds the next."""
    name, options = request.param
    torch.manual_seed(0)
    yield sn.build(name, num_classes=10, **options).eval()


def name_of(net: sn.Net) -> str:
    return str(net.config["name"])


@torch.no_grad()
def test_forward_is_features_then_head_and_the_outputs_are_finite(net: sn.Net) -> None:
    for more in ((0, 0), (3, 10)):
        x = pictures(name_of(net), more=more)
        kept = x.clone()
        logits = net(x)
        assert logits.shape == (2, 10)
        assert logits.isfinite().all()
        assert torch.equal(net.forward_head(net.forward_features(x)), logits)
        assert torch.equal(x, kept)


@torch.no_grad()
def test_channels_last_changes_nothing_but_the_layout(net: sn.Net) -> None:
    x = pictures(name_of(net))
    expected = net(x)
    try:
        net.to(memory_format=torch.channels_last)
        seen = net(x.to(memory_format=torch.channels_last))
    finally:
        net.to(memory_format=torch.contiguous_format)
    assert (seen - expected).abs().max() <= 1e-4 * expected.abs().max()


@torch.no_grad()
def test_bfloat16_autocast(net: sn.Net) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert net(pictures(name_of(net))).float().isfinite().all()


@torch.no_grad()
def test_fx_trace(net: sn.Net) -> None:
    traced = torch.fx.symbolic_trace(net)
    for more in ((0, 0), (3, 10)):
        x = pictures(name_of(net), more=more)
        assert torch.equal(traced(x), net(x))


def test_pickle_and_deepcopy(net: sn.Net) -> None:
    for twin in (pickle.loads(pickle.dumps(net, protocol=5)), copy.deepcopy(net)):
        assert type(twin) is type(net)
        assert twin.config == net.config
        assert_equal_state(twin, net)


def test_one_seed_makes_one_net_and_state_dicts_go_round(net: sn.Net) -> None:
    """The second build has nothing in place, so that it also takes full backward hooks on every module."""
    torch.manual_seed(0)
    twin = sn.build(**{**net.config, "inplace": False})
    assert_equal_state(twin, net)
    assert not any(getattr(module, "inplace", False) for module in twin.modules())
    called: set[nn.Module] = set()
    for module in twin.modules():
        module.register_full_backward_hook(lambda module, _gin, _gout: called.add(module))
    x = pictures(name_of(net), more=(3, 10))
    twin.train()(x.requires_grad_()).square().sum().backward()
    assert called == set(twin.modules())
    for path, parameter in twin.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.dim() == 1 or parameter.grad.any(), path
        parameter.grad = None
    twin.load_state_dict(net.state_dict())  # batch norm has moved in between
    assert_equal_state(twin, net)


@pytest.mark.parametrize("name", ONE_A_FAMILY)
def test_in_place_gives_the_same_gradients(name: str) -> None:
    x = pictures(name, more=(3, 10))
    grads: list[list[Tensor]] = []
    for inplace in (True, False):
        torch.manual_seed(0)
        twin = sn.build(name, num_classes=10, inplace=inplace, **NARROW.get(name, {})).eval()
        twin(x).square().sum().backward()
        grads.append([parameter.grad for parameter in twin.parameters() if parameter.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_meta_build_takes_the_weights(net: sn.Net) -> None:
    empty = on_meta(**net.config)
    assert all(tensor.is_meta for tensor in (*empty.parameters(), *empty.buffers()))
    empty.load_state_dict(net.state_dict(), assign=True)
    assert not any(tensor.is_meta for tensor in (*empty.parameters(), *empty.buffers()))
    x = pictures(name_of(net))
    with torch.no_grad():
        assert torch.equal(empty.eval()(x), net(x))


def assert_equal_state(a: nn.Module, b: nn.Module) -> None:
    state_a, state_b = a.state_dict(), b.state_dict()
    assert list(state_a) == list(state_b)
    for path in state_a:
        assert torch.equal(state_a[path], state_b[path]), path


# From here on nothing is computed: the nets lie on the meta device.


@pytest.mark.parametrize("name", NETS)
def test_config_goes_through_json_and_rebuilds_the_net(name: str) -> None:
    net = on_meta(name, num_classes=7)
    config = json.loads(json.dumps(net.config))
    assert config == net.config
    twin = on_meta(**config)
    assert twin.config == config
    assert [(path, tensor.shape) for path, tensor in twin.state_dict().items()] == [
        (path, tensor.shape) for path, tensor in net.state_dict().items()
    ]


def build_for_shapes(name: str, **options: object) -> sn.Net:
    with torch.device(device_for_shapes(name)):
        return sn.build(name, **options)


@pytest.mark.parametrize("name", NETS)
def test_channels_and_classes(name: str) -> None:
    for channels, num_classes in ((1, 0), (3, 2), (4, 1000)):
        net = build_for_shapes(name, in_channels=channels, num_classes=num_classes).eval()
        assert net.input_size[0] == channels
        assert net.num_classes == num_classes
        x = pictures(name, channels=channels).to(device_for_shapes(name))
        assert net(x).shape == (2, num_classes or net.num_features)
        with pytest.raises(sn.ShapeError, match=f"in_channels={channels + 1}"):
            net(pictures(name, channels=channels + 1).to(device_for_shapes(name)))


@pytest.mark.parametrize("name", NETS)
def test_reset_classifier(name: str) -> None:
    net = build_for_shapes(name).eval()
    features = net.forward_features(pictures(name).to(device_for_shapes(name)))
    for num_classes in (5, 0, 3):
        assert net.reset_classifier(num_classes) is net
        assert net.forward_head(features).shape == (2, num_classes or net.num_features)
        assert on_meta(**net.config).num_classes == num_classes
        assert not any(module.training for module in net.modules())
    with pytest.raises(ValueError, match="num_classes"):
        net.reset_classifier(-1)


@pytest.mark.parametrize("name", NETS)
def test_feature_info_is_what_is_seen(name: str) -> None:
    """Channels by looking; strides by enlarging the picture: 2 strides more pixels are 2 more in the map."""
    seen: dict[str, Tensor] = {}
    net = build_for_shapes(name).eval()
    shapes: list[dict[str, torch.Size]] = []
    stride = net.feature_info[-1].stride
    for more in (0, 2 * stride):
        side = small_side(name) + more
        if not free_size(name):
            net = build_for_shapes(name, input_size=side).eval()
        for stage in net.feature_info:
            layer = net.get_submodule(stage.name)
            layer.register_forward_hook(lambda _m, _i, out, path=stage.name: seen.__setitem__(path, out))
        last = net.forward_features(torch.empty(1, net.input_size[0], side, side, device=device_for_shapes(name)))
        shapes.append({path: out.shape for path, out in seen.items()})
        assert shapes[-1][net.feature_info[-1].name] == last.shape
    for stage in net.feature_info:
        small, large = (shape[stage.name] for shape in shapes)
        assert small[1] == stage.channels
        assert large[2] - small[2] == 2 * stride // stage.stride, stage
    assert [stage.stride for stage in net.feature_info] == sorted(stage.stride for stage in net.feature_info)


@pytest.mark.parametrize("name", NETS)
def test_the_registry_entry_is_true(name: str) -> None:
    e = entry(name)
    net = on_meta(name)
    assert net.input_size == e.input_size
    assert count_parameters(net) == e.parameters
    assert count_macs(net, e.input_size) == e.macs
    smallest = (e.input_size[0], e.smallest, e.smallest)
    assert net.eval()(torch.empty(1, *smallest, device="meta")).shape == (1, net.num_classes)
    with pytest.raises(sn.ShapeError):
        net(torch.empty(1, e.input_size[0], e.smallest, e.smallest - 1, device="meta"))


@pytest.mark.parametrize("name", NETS)
def test_fixed_sizes_and_odd_ranks_are_refused_in_one_sentence(name: str) -> None:
    net = on_meta(name).eval()
    channels, height, width = net.input_size
    bad = [(channels, height, width), (height, width), (1, 1, channels, height, width)]
    if not free_size(name):
        bad += [(1, channels, height + 1, width), (1, channels, height, width - 1)]
    for shape in bad:
        with pytest.raises(sn.ShapeError) as info:
            net(torch.empty(shape, device="meta"))
        text = str(info.value)
        assert text.startswith(f"{net.config['name']}: expected ") and str(shape) in text
    with pytest.raises(ValueError, match=r"floating-point pictures; got torch.uint8\. Convert"):
        net(torch.empty(1, channels, height, width, dtype=torch.uint8, device="meta"))
