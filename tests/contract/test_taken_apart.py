"""PyTorch's own tools take every family apart as they take torchvision's nets: exact layers, plain graphs, surgery."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.fx.experimental.optimization
import torchvision
from torch import Tensor, nn
from torch.ao import quantization
from torch.ao.quantization import quantize_fx
from torch.nn.utils import prune
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

import smallnets as sn
from zoo_cases import NETS, ONE_A_FAMILY, on_meta, pictures

# What PyTorch deprecates, and says of its own quantisers, is not ours to answer for.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

OPTIONS: dict[str, dict[str, Any]] = {"alexnet": {"hidden": (64,)}, "vgg11": {"head": "linear", "batch_norm": True}}
TWINS: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "resnet50": {},
    "alexnet": {},
    "vgg11": {},
    "vgg16": {"batch_norm": True},
}
# Kinds for which torch.nn has no layer: a sum with one weight a map.
OWN = {"Subsampling"}
each_family = pytest.mark.parametrize("name", ONE_A_FAMILY)
each_twin = pytest.mark.parametrize("name", TWINS)


def build(name: str, **options: object) -> sn.Net:
    torch.manual_seed(0)
    return sn.build(name, **{**OPTIONS.get(name, {}), **options}).eval()


def twin_of(name: str, **options: Any) -> nn.Module:
    kind = f"{name}_bn" if TWINS[name] else name
    return cast(nn.Module, getattr(torchvision.models, kind)(**options)).eval()


def nodes(graph: torch.fx.Graph) -> list[tuple[str, str, str]]:
    return [(node.op, node.name, str(node.target)) for node in graph.nodes]


def quantised(net: nn.Module) -> int:
    return sum("quantized" in type(layer).__module__ for layer in net.modules())


def layers(net: nn.Module, *kinds: type[nn.Module]) -> int:
    return sum(type(layer) in kinds for layer in net.modules())


FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NETS),
    *((name, {"norm": "group"}) for name in ("convnet3", "resnet18", "resnet20", "resnet50_layer4")),
    *(("vgg11", {"batch_norm": True, "head": head}) for head in ("imagenet", "compact")),
    ("lenet5", {"variant": "1998"}),
    ("resnet50", {"shortcut": "C", "groups": 32, "width_per_group": 4}),
]


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_every_parameter_lives_in_a_layer_of_pytorchs_exact_type(name: str, options: dict[str, Any]) -> None:
    for path, layer in on_meta(name, **options).named_modules():
        if [*layer.parameters(recurse=False)] and type(layer).__name__ not in OWN:
            assert type(layer).__module__.startswith("torch.nn."), path


@each_twin
def test_a_trace_is_that_of_torchvisions_twin(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = sn.build(name, **TWINS[name]), twin_of(name)
    assert nodes(torch.fx.symbolic_trace(ours).graph) == nodes(torch.fx.symbolic_trace(theirs).graph)
    assert get_graph_node_names(ours) == get_graph_node_names(theirs)


def test_features_come_out_by_torchvisions_node_names() -> None:
    net, x = build("resnet18"), pictures("resnet18")
    twin = twin_of("resnet18")
    twin.load_state_dict(net.state_dict())
    names = ["layer1.0.add", "layer2.0.downsample.1", "layer4.1.relu_1", "flatten"]
    with torch.no_grad():
        for key, value in create_feature_extractor(net, names)(x).items():
            assert torch.equal(value, create_feature_extractor(twin, names)(x)[key])


@each_family
@pytest.mark.parametrize("qat", [False, True])
def test_fx_quantisation(name: str, qat: bool) -> None:
    net, x = build(name), pictures(name, 4)
    prepare = quantize_fx.prepare_qat_fx if qat else quantize_fx.prepare_fx
    mapping = quantization.get_default_qat_qconfig_mapping if qat else quantization.get_default_qconfig_mapping
    prepared = prepare(copy.deepcopy(net).train(qat), mapping("fbgemm"), (x,))
    prepared(x)
    converted = quantize_fx.convert_fx(prepared.eval())
    assert quantised(converted) >= layers(net, nn.Conv2d, nn.Linear)
    assert not layers(converted, nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    if not qat:  # which has moved the statistics of its batch norms
        assert_close(converted(x), net(x), 0.15)


def test_fx_quantisation_quantises_what_it_does_of_torchvisions() -> None:
    x = pictures("resnet18")
    counts = []
    for net in (build("resnet18"), twin_of("resnet18")):
        prepared = quantize_fx.prepare_fx(net, quantization.get_default_qconfig_mapping("fbgemm"), (x,))
        prepared(x)
        graph = quantize_fx.convert_fx(prepared).graph
        counts.append([str(node.target) for node in graph.nodes])
    assert counts[0] == counts[1]
    assert sum("add_relu" in target for target in counts[0]) == 8


@each_family
def test_eager_quantisation(name: str) -> None:
    net, x = build(name), pictures(name, 4)
    wrapped = quantization.QuantWrapper(copy.deepcopy(net)).eval()
    if name == "vgg11":
        triples = [
            [f"module.features.{i + j}" for j in range(3)]
            for i, layer in enumerate(net.features)
            if type(layer) is nn.Conv2d
        ]  # type: ignore[arg-type, union-attr]
        wrapped = quantization.fuse_modules(wrapped, triples)
        assert not layers(wrapped, nn.BatchNorm2d)
    wrapped.qconfig = quantization.get_default_qconfig("fbgemm")  # type: ignore[assignment]
    prepared = quantization.prepare(wrapped)
    prepared(x)
    converted = quantization.convert(prepared)
    assert quantised(converted) >= layers(net, nn.Conv2d, nn.Linear)
    if name.startswith("resnet"):  # as torchvision's own, which have a quantisable form for this
        with pytest.raises(NotImplementedError, match=r"aten::add"):
            converted(x)
    else:
        assert_close(converted(x), net(x), 0.15)


@each_family
def test_dynamic_quantisation_finds_every_linear_layer(name: str) -> None:
    net, x = build(name), pictures(name)
    dynamic = quantization.quantize_dynamic(net, {nn.Linear})
    assert not layers(dynamic, nn.Linear)
    assert_close(dynamic(x), net(x), 0.1)


@each_family
def test_pytorchs_own_fusion_folds_every_batch_norm(name: str) -> None:
    net, x = build(name), pictures(name)
    fused = torch.fx.experimental.optimization.fuse(net)
    assert not layers(fused, nn.BatchNorm2d)
    assert_close(fused(x), net(x), 1e-4)
    assert_close(sn.fuse(net)(x), net(x), 1e-4)


@each_family
def test_scripts_and_traces(name: str) -> None:
    net, x = build(name), pictures(name)
    assert torch.equal(torch.jit.script(net)(x), net(x))
    assert torch.equal(torch.jit.trace(net, (x,))(x), net(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {"variant": "1998"}),
        ("resnet50", {"stem": "cifar", "norm": "group", "shortcut": "A", "inplace": False}),
        ("resnet18", {"residual": False, "stem": "cifar"}),
        ("vgg11", {"cfg": "A-LRN", "head": "compact"}),
        ("alexnet", {"variant": "2012", "hidden": (8,)}),
    ],
)
def test_every_form_scripts(name: str, options: dict[str, Any]) -> None:
    net, x = build(name, **options), pictures(name)
    assert torch.equal(torch.jit.script(net)(x), net(x))


@each_family
def test_pruning_by_pytorch_and_back(name: str, tmp_path: Path) -> None:
    net, x = build(name), pictures(name)
    conv = next(layer for layer in net.modules() if type(layer) is nn.Conv2d)
    prune.l1_unstructured(conv, "weight", amount=0.5)
    pruned = net(x)
    with pytest.raises(sn.WeightsError, match="expected a net as its builder makes it"):
        sn.save(net, tmp_path / "net.safetensors")
    prune.remove(conv, "weight")
    sn.save(net, tmp_path / "net.safetensors")
    assert torch.equal(sn.load(tmp_path / "net.safetensors").eval()(x), pruned)


@each_family
def test_per_sample_gradients(name: str) -> None:
    net, x = build(name), pictures(name, 2)
    weights = {path: value.detach() for path, value in net.named_parameters()}

    def loss(weights: dict[str, Tensor], picture: Tensor) -> Tensor:
        return cast(Tensor, torch.func.functional_call(net, weights, (picture[None],))).square().sum()

    grads = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    net(x[:1]).square().sum().backward()
    for path, value in net.named_parameters():
        assert_close(grads[path][0], cast(Tensor, value.grad), 1e-3)


def assert_close(seen: Tensor, expected: Tensor, share: float) -> None:
    """Equal up to a share of the largest."""
    assert seen.shape == expected.shape
    assert (seen - expected).abs().max() <= share * expected.abs().max() + 1e-8


Surgeon = Callable[[Any], None]


def one_channel(net: Any) -> None:
    net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)


def without_the_last_stage(net: Any) -> None:
    net.layer4, net.fc = nn.Identity(), nn.Linear(256, 10)


def adapter(net: Any) -> None:
    net.conv1 = nn.Sequential(nn.Conv2d(1, 3, 1), net.conv1)


def no_head(net: Any) -> None:
    net.fc = nn.Identity()


def small_stem(net: Any) -> None:
    net.conv1, net.maxpool = nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.Identity()


def no_norm(net: Any) -> None:
    for path, layer in list(net.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            net.set_submodule(path, nn.Identity())
    net.conv1 = nn.LazyConv2d(64, 7, 2, 3)


@pytest.mark.parametrize(
    "surgeon", [one_channel, without_the_last_stage, adapter, no_head, small_stem, no_norm], ids=lambda f: f.__name__
)
def test_surgery_that_torchvision_takes(surgeon: Surgeon) -> None:
    channels = 3 if surgeon in (without_the_last_stage, no_head) else 1
    x = torch.randn(2, channels, 64, 64)
    ours, theirs = build("resnet18"), twin_of("resnet18")
    for net in (ours, theirs):
        torch.manual_seed(0)
        surgeon(net)
        net.eval()(x)  # what is lazy takes its shape
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
        assert torch.equal(torch.fx.symbolic_trace(ours)(x), theirs(x))
    assert nodes(torch.fx.symbolic_trace(ours).graph) == nodes(torch.fx.symbolic_trace(theirs).graph)


def test_layered_nets_take_another_stem_pool_or_head() -> None:
    lenet = sn.lenet5().eval()
    lenet.features[0] = nn.Conv2d(1, 6, 5, padding=2)
    assert lenet(torch.zeros(2, 1, 28, 28)).shape == (2, 10)  # MNIST as it comes
    lenet = sn.lenet5().eval()
    lenet.avgpool = nn.AdaptiveAvgPool2d(5)
    assert lenet(torch.zeros(2, 1, 64, 50)).shape == (2, 10)
    vgg = sn.vgg11(head="linear").eval()
    vgg.features[-1] = nn.Identity()
    assert vgg(torch.zeros(2, 3, 16, 16)).shape == (2, 10)
    vgg.classifier = nn.Linear(512, 3)  # type: ignore[assignment]
    assert vgg(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    with pytest.raises(
        sn.OptionError, match=r"vgg11: expected its last layer at classifier\.0; got a net with another"
    ):
        vgg.reset_classifier(5)


def test_the_librarys_own_surgery_goes_on_after_that_by_hand() -> None:
    net = build("resnet18", num_classes=3)
    without_the_last_stage(net)
    x = torch.randn(2, 3, 64, 64)
    assert net.reset_classifier(7)(x).shape == (2, 7)
    assert sn.freeze(net, upto="layer2").layer3[0].conv1.weight.requires_grad
    assert_close(sn.fuse(net)(x), net(x), 1e-4)
    maps = sn.feature_pyramid(net, ["layer1", "layer3"])(x)
    assert [value.shape[1] for value in maps.values()] == [64, 256]
    vgg = sn.vgg11(head="linear")
    vgg.features[0] = nn.Conv2d(3, 64, 3, padding=1)
    assert sn.to_fully_convolutional(vgg)(torch.zeros(1, 3, 64, 64)).shape == (1, 10, 2, 2)
    assert sn.grow(sn.vgg13(head="linear"), vgg) is not None


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_share_a_net_and_hear_what_is_wrong(kind: str, tmp_path: Path) -> None:
    subject = Path(__file__).with_name("sharded_subject.py")
    command = [sys.executable, "-W", "ignore", str(subject), kind, str(tmp_path / "store")]
    running = [subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    for process in running:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        assert said.startswith("resnet20: expected an input of shape (N, 3, H, W); got (2, 4, 8, 8).")
