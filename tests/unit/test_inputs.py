"""What a net cannot take is refused in one sentence, at its door and at its head's; what PyTorch takes, passes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import smallnets as sn
from zoo_cases import NARROW, NETS, free_size, on_meta

# A family each, the head narrow, and the net of 1998 whose head starts with a convolution.
SMALL: list[tuple[str, dict[str, object]]] = [
    ("lenet5", {}),
    ("lenet5", {"variant": "1998"}),
    ("convnet3", {}),
    ("alexnet", NARROW["alexnet"]),
    ("vgg11", {"cfg": ["M", 8, "M", 8], "head": "linear"}),
    ("resnet20", {}),
]
each = pytest.mark.parametrize(("name", "options"), SMALL, ids=[f"{name}-{len(options)}" for name, options in SMALL])


def map_shape(net: sn.Net) -> tuple[int, ...]:
    """Of the last feature map of one natural picture."""
    return tuple(net.forward_features(torch.zeros(1, *net.input_size, device=next(net.parameters()).device)).shape)


@pytest.mark.parametrize("name", [name for name in NETS if name != "resnet1202"])
def test_a_head_takes_the_map_of_its_features_alone(name: str) -> None:
    net = on_meta(name).eval()
    _, channels, height, width = map_shape(net)
    sides = "H, W" if free_size(name) else f"{height}, {width}"
    bad = [
        *((channels, height, width), (2, channels), (2, channels + 1, height, width)),
        *((2, channels, 0, width), (2, channels, height, 0)),
    ]
    larger = (2, channels, height + 1, width)
    if free_size(name):
        assert net.forward_head(torch.empty(larger, device="meta")).shape == (2, net.num_classes)
    else:
        bad.append(larger)
    for shape in bad:
        with pytest.raises(sn.ShapeError) as info:
            net.forward_head(torch.empty(shape, device="meta"))
        assert str(info.value) == (
            f"{name}: expected a feature map of shape (N, {channels}, {sides}); got {shape}. "
            "Give what forward_features returns."
        )


def test_the_head_of_1998_takes_5x5_maps() -> None:
    net = sn.lenet5(variant="1998")
    for shape in ((1, 16, 4, 4), (1, 16, 6, 6), (1, 3, 5, 5), (16, 5, 5)):
        with pytest.raises(sn.ShapeError, match=r"expected a feature map of shape \(N, 16, 5, 5\); got"):
            net.forward_head(torch.zeros(shape))


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(SMALL), shape=st.lists(st.integers(0, 17), max_size=5), right=st.booleans())
def test_any_map_gives_logits_or_says_why(case: tuple[str, dict[str, object]], shape: list[int], right: bool) -> None:
    name, options = case
    net = sn.build(name, **options).eval()
    if right and len(shape) > 1:
        shape[1] = net.feature_info[-1].channels
    try:
        logits = net.forward_head(torch.zeros(shape))
    except sn.ShapeError as error:
        natural = map_shape(net)
        fits = len(shape) == 4 and shape[1] == natural[1]
        fits = fits and (min(shape[2:]) > 0 if free_size(name) else tuple(shape[2:]) == natural[2:])
        assert not fits, str(error)
        return
    assert logits.shape == (shape[0], net.num_classes)
    assert logits.isfinite().all()


@each
def test_pictures_of_another_kind_are_refused(name: str, options: dict[str, object]) -> None:
    net = sn.build(name, **options).eval()
    x = torch.zeros(1, *net.input_size)
    cases: list[tuple[object, str]] = [
        (None, "expected pictures as a tensor; got a NoneType."),
        ([[0.0]], "expected pictures as a tensor; got a list. Convert it: torch.as_tensor(x)."),
        (np.zeros(x.shape), "expected pictures as a tensor; got a ndarray. Convert it: torch.as_tensor(x)."),
        (x.double(), "of torch.float32, as its weights are; got torch.float64. Convert: x.to(torch.float32)."),
        (x.half(), "of torch.float32, as its weights are; got torch.float16. Convert: x.to(torch.float32)."),
        (x.to("meta"), "on cpu, where its weights are; got meta. Move net or input: x.to('cpu')."),
    ]
    for wrong, text in cases:
        for call in (net, net.forward_features):
            with pytest.raises(sn.OptionError) as info:
                call(wrong)
            assert str(info.value).startswith(f"{name}: expected pictures ")
            assert str(info.value).endswith(text)
    wide = torch.zeros(map_shape(net))
    for wrong in (None, wide.double(), wide.to(torch.uint8)):
        with pytest.raises(sn.OptionError, match=f"{name}: expected a feature map "):
            net.forward_head(wrong)  # type: ignore[arg-type]


@each
@torch.no_grad()
def test_what_fits_the_weights_or_is_cast_passes(name: str, options: dict[str, object]) -> None:
    net = sn.build(name, **options).eval()
    x = torch.randn(2, *net.input_size)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x).shape == net(x.bfloat16()).shape
        assert torch.equal(net.forward_head(net.forward_features(x)), net(x))
        with pytest.raises(sn.OptionError, match=r"got torch\.float64"):
            net(x.double())
    net.double()  # what is said is of the weights of the moment
    assert net(x.double()).dtype == torch.float64
    with pytest.raises(sn.OptionError, match=r"of torch\.float64, as its weights are; got torch\.float32"):
        net(x)


def test_weights_that_a_wrapper_brings_in_are_the_wrappers_to_match() -> None:
    """Weights on meta until their turn, as big-model loaders keep them, and weights of a functional call."""
    net = sn.lenet5().eval()
    x = torch.zeros(1, 1, 32, 32)
    weights = {path: tensor.detach().double() for path, tensor in net.named_parameters()}
    empty = on_meta("lenet5").eval()
    for model in (net, empty):
        out = torch.func.functional_call(model, weights, (x.double(),))
        assert isinstance(out, Tensor) and out.dtype == torch.float64
    seen: list[Tensor] = []
    empty.features[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))  # type: ignore[operator, union-attr]
    with pytest.raises(Exception, match="meta"):
        empty(x)
    assert seen[0] is x  # our check has let it through to the layer


def test_another_first_layer_brings_its_own_kind() -> None:
    net = sn.resnet20().eval()
    net.conv1 = torch.nn.Sequential(net.conv1)  # type: ignore[assignment]
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def said(call: Callable[[], object]) -> tuple[str, type[BaseException] | None]:
    """What a call is refused with, and the kind of PyTorch's error behind it."""
    with pytest.raises(sn.ShapeError) as info:
        call()
    return str(info.value), None if info.value.__cause__ is None else type(info.value.__cause__)


def test_pytorchs_error_is_the_cause_of_ours() -> None:
    net = sn.resnet20()
    text, cause = said(lambda: net(torch.zeros(2, 4, 8, 8)))
    assert text.endswith("got (2, 4, 8, 8). Build the net with in_channels=4, or convert the pictures.")
    assert cause is RuntimeError


def test_after_surgery_what_is_said_is_of_the_net_as_it_stands() -> None:
    net: Any = sn.resnet18(num_classes=3).eval()
    net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    assert said(lambda: net(torch.zeros(2, 3, 33, 33)))[0].startswith(
        "resnet18: expected an input of shape (N, 1, H, W); got (2, 3, 33, 33)."
    )
    net.layer4 = nn.Identity()
    assert said(lambda: net(torch.zeros(2, 1, 33, 33))) == (
        "resnet18: expected 512 features at fc (Linear); got 256 in (2, 256). Make the layer anew for what reaches it.",
        RuntimeError,
    )
    net.fc = nn.Linear(256, 3)
    assert net(torch.zeros(2, 1, 33, 33)).shape == (2, 3)
    net.conv1 = nn.Sequential(nn.Conv2d(6, 1, 1), net.conv1)
    assert said(lambda: net(torch.zeros(2, 3, 33, 33)))[0].startswith(
        "resnet18: expected 6 channels at conv1.0 (Conv2d); got 3 in (2, 3, 33, 33)."
    )
    lenet = sn.lenet5().eval()
    lenet.features[0] = nn.Conv2d(1, 6, 5, padding=2)
    assert said(lambda: lenet(torch.zeros(2, 1, 64, 64)))[0].startswith("lenet5: expected 400 features at classifier.0")
    assert "at least 12x12; got 4x4" in said(lambda: lenet(torch.zeros(2, 1, 4, 4)))[0]


def test_where_nothing_true_can_be_said_pytorchs_error_goes_through() -> None:
    net: Any = sn.resnet20().eval()
    del net.fc
    with pytest.raises(AttributeError, match="fc"):
        net(torch.zeros(1, 3, 8, 8))
    net = sn.lenet5().eval()
    net.features[1] = nn.Upsample(size=2)
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        net.forward_features(torch.zeros(1, 1, 8, 8))
    net = sn.resnet20().eval()
    net.conv1.register_forward_pre_hook(lambda _m, args: args[0].float() / 255)
    assert net(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape == (1, 10)  # nothing guards the door
    net.layer2 = nn.Flatten()
    with pytest.raises(RuntimeError):  # and the bytes are not blamed for what fails further in
        net(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (sn.lenet5(), (1, 1, 33, 35)),  # 33 to 35 pixels leave the 5x5 map of 32
        (sn.lenet5(variant="1998"), (1, 1, 35, 33)),
        (sn.convnet3(), (2, 3, 33, 39)),
        (sn.convnet3(hidden=(), num_classes=0), (2, 3, 64, 64)),  # no linear layer to fail
        (sn.vgg([4, "M", 4], head="linear", num_classes=0), (3, 8, 8)),  # a picture without its batch
        (sn.vgg([4, "M", 1], head="linear"), (3, 8, 8)),  # whose one channel passes for a batch
        (sn.alexnet(stem="cifar", num_classes=0), (3, 32, 32)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else value.config["name"],
)
def test_what_pytorch_would_compute_in_silence_stays_refused(net: sn.Net, shape: tuple[int, ...]) -> None:
    for call in (net.eval(), net.forward_features):
        text, cause = said(lambda call=call: call(torch.zeros(shape)))  # type: ignore[misc]
        assert f"got {shape}." in text
        assert cause is None


@pytest.mark.parametrize("shape", [(2, 400), (2, 16, 25, 1), (2, 4, 10, 10), (16, 5, 5)])
def test_a_map_that_happens_to_fit_the_linear_layer_is_refused(shape: tuple[int, ...]) -> None:
    text, _ = said(lambda: sn.lenet5().forward_head(torch.zeros(shape)))
    assert text == (
        f"lenet5: expected a feature map of shape (N, 16, 5, 5); got {shape}. Give what forward_features returns."
    )
