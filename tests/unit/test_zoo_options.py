"""Wrong options fail in the builder, in one sentence: the option, what was given, what is allowed or nearest."""

import inspect
import pickle
import pydoc
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import smallnets as sn
from smallnets.cli.parsing import parse_settings
from smallnets.models import build
from smallnets.models.resnet_cifar import CifarResNetOptions, cifar_resnet
from smallnets.models.resnet_imagenet import ResNetOptions, resnet
from smallnets.models.vgg import VGGOptions, make_vgg
from smallnets.weights.loading import torchvision_name
from zoo_cases import NETS

BAD: list[tuple[str, dict[str, object], str]] = [
    (
        "alexnet",
        {"variant": "one_tower"},
        "expected variant to be one of 'one-tower', '2012'; got 'one_tower'.",
    ),
    ("alexnet", {"stem": "cifar10"}, "Did you mean 'cifar'?"),
    ("alexnet", {"hidden": 4096}, "expected hidden to be a sequence of widths; got 4096."),
    ("alexnet", {"hidden": (4096, 0)}, "expected every width in hidden to be an integer of at least 1; got 0."),
    ("alexnet", {"dropout": 1.0}, "expected dropout to be a number of at least 0 and below 1; got 1.0."),
    ("alexnet", {"inplace": "no"}, "expected inplace to be one of True, False; got 'no'."),
    ("vgg", {"cfg": []}, "expected at least one convolution in cfg; got []."),
    ("vgg", {"cfg": ["M", "LRN"]}, "expected at least one convolution in cfg; got ['M', 'LRN']."),
    ("vgg", {"cfg": 16}, "expected cfg to be a letter or a list of layers; got 16."),
    ("vgg", {"cfg": "F"}, "expected cfg to be one of A, A-LRN, B, C, D, E, or a list of layers; got 'F'."),
    (
        "vgg",
        {"cfg": [64, "m"]},
        "layers in cfg; got 'm'. A layer is a width, 'M', 'LRN' or (kernel size, width).",
    ),
    ("vgg", {"cfg": [True]}, "expected layers in cfg; got True."),
    ("vgg", {"cfg": [0]}, "expected layers in cfg; got 0."),
    ("vgg", {"cfg": [(2, 64)]}, "expected an odd kernel size in cfg's pair; got (2, 64)."),
    ("vgg", {"cfg": [(1, -64)]}, "expected the width in cfg's pair to be an integer of at least 1; got -64."),
    ("vgg16", {"cfg": "E"}, "vgg16: expected cfg to be one of C, D; got 'E'. Take vgg19."),
    ("vgg16", {"cfg": "DD"}, "Did you mean 'D'?"),
    ("vgg16", {"batch_norm": "yes"}, "expected batch_norm to be one of True, False; got 'yes'."),
    ("vgg16", {"head": "imagnet"}, "Did you mean 'imagenet'?"),
    (
        "vgg16",
        {"head": {"hiden": [3]}},
        "a key of head to be one of 'pool', 'hidden', 'batch_norm', 'dropout'",
    ),
    ("vgg16", {"head": sn.VGGHead(pool=0)}, "expected head.pool to be an integer of at least 1; got 0."),
    ("vgg16", {"head": sn.VGGHead(hidden=(0,))}, "expected every width in head.hidden to be an integer of at least 1"),
    ("vgg16", {"head": {"hidden": 512}}, "expected head.hidden to be a sequence of widths; got 512."),
    ("vgg16", {"head": sn.VGGHead(dropout=-0.1)}, "expected head.dropout to be a number of at least 0 and below 1"),
    ("vgg16", {"dropout": 1}, "vgg16: expected dropout to be a number of at least 0 and below 1; got 1."),
    ("vgg19", {"dropout": "0.5"}, "vgg19: expected dropout to be a number of at least 0 and below 1; got '0.5'."),
    (
        "vgg16",
        {"dropout": 0.5, "head": "linear"},
        "vgg16: expected a head with hidden layers where dropout is set; got head='linear'. A head without hidden",
    ),
    ("resnet18", {"stem": "imagnet"}, "Did you mean 'imagenet'?"),
    ("resnet18", {"shortcut": "D"}, "resnet18: expected shortcut to be one of 'A', 'B', 'C'; got 'D'."),
    ("resnet18", {"stride_in": "3"}, "expected stride_in to be one of '3x3', '1x1'; got '3'."),
    ("resnet18", {"residual": None}, "expected residual to be one of True, False; got None."),
    ("resnet18", {"norm": "layer"}, "expected norm to be one of 'batch', 'group'; got 'layer'."),
    ("resnet18", {"groups": 2}, "its blocks have no bottleneck; got groups=2 and width_per_group=64. Take resnet50"),
    ("resnet50", {"groups": 0}, "expected groups to be an integer of at least 1; got 0."),
    ("resnet50", {"width_per_group": 0.5}, "expected width_per_group to be an integer of at least 1; got 0.5."),
    ("resnet50", {"dilate": (True, False)}, "expected dilate to be three booleans; got (True, False)."),
    (
        "resnet50",
        {"dilate": [np.array([1, 2]), True, True]},
        "expected dilate to be three booleans; got [array([1, 2])",
    ),
    ("resnet50", {"dilate": (0, 1, 2)}, "expected dilate to be three booleans; got (0, 1, 2)."),
    ("resnet50", {"dilate": True}, "expected dilate to be three booleans; got True."),
    (
        "resnet50",
        {"residual": False, "zero_init_residual": True},
        "expected residual=True where zero_init_residual is set; got residual=False. A plain net of zero scales never",
    ),
    ("resnet18", {"shortcut": np.array([1, 2])}, "expected shortcut to be one of 'A', 'B', 'C'; got array([1, 2])."),
    ("resnet18", {"residual": torch.tensor([1, 2])}, "expected residual to be one of True, False; got tensor([1, 2])."),
    ("vgg", {"cfg": b"A"}, "expected cfg to be a letter or a list of layers; got b'A'."),
    ("vgg", {"cfg": [np.array([1, 2])]}, "expected layers in cfg; got array([1, 2])."),
    ("alexnet", {"hidden": b"ab"}, "expected hidden to be a sequence of widths; got b'ab'."),
    ("resnet20", {"num_classes": 2**70}, "expected sizes of which PyTorch can make tensors; got sizes that are too"),
    ("lenet5", {"input_size": 10**9}, "lenet5: expected sizes of which PyTorch can make tensors; got sizes that are"),
    ("resnet20", {"shortcut": "a"}, "resnet20: expected shortcut to be one of 'A', 'B', 'C'; got 'a'."),
    ("resnet50_layer4", {"norm": "batchnorm"}, "Did you mean 'batch'?"),
    ("convnet3", {"channels": ()}, "expected at least one width in channels; got ()."),
    ("convnet3", {"channels": 32}, "expected channels to be a sequence of widths; got 32."),
    ("convnet3", {"kernel_size": 4}, "expected an odd kernel_size; got 4. Take 5."),
    ("convnet3", {"input_size": 7}, "expected input_size to be an integer of at least 8; got 7."),
    ("lenet5", {"variant": 1998}, "got 1998. Did you mean '1998'?"),
    ("lenet5", {"variant": "1998", "num_classes": 3}, "expected num_classes of 10 or 0; got 3."),
    ("lenet5", {"input_size": 15}, "expected input_size to be an integer of at least 16; got 15."),
    *((name, {"num_classes": -1}, "expected num_classes to be an integer of at least 0") for name in NETS),
    *((name, {"num_classes": 2.0}, f"{name}: expected num_classes to be an integer") for name in NETS),
    *((name, {"in_channels": 0}, "expected in_channels to be an integer of at least 1") for name in NETS),
    *((name, {"inplace": 2}, "expected inplace to be one of True, False; got 2.") for name in NETS),
]


@pytest.mark.parametrize(("name", "options", "text"), BAD)
def test_a_wrong_option_is_refused(name: str, options: dict[str, object], text: str) -> None:
    with torch.device("meta"), pytest.raises(sn.OptionError, match=re.escape(text)):
        sn.build(name, **options)


def test_a_wrong_name_or_keyword_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"expected the name of a net; got 'ResNet50'\. Did you mean 'resnet50'\?"):
        sn.build("ResNet50")
    with pytest.raises(ValueError, match=r"an option that it has; got 'stme'\. Did you mean 'stem'\?"):
        sn.build("resnet18", stme="cifar")
    for kind in (TypeError, ValueError):  # Python's word for it and the library's
        with pytest.raises(kind, match=r"resnet18: expected an option that it has; got 'stme'\. Did you mean 'stem'\?"):
            sn.resnet18(stme="cifar")  # type: ignore[call-arg]
    for nonsense in (5, None, ["resnet18"], {}):
        with pytest.raises(sn.OptionError, match="build: expected the name of a net; got "):
            sn.build(nonsense)  # type: ignore[call-overload]
        with pytest.raises(sn.OptionError, match="list_models: expected pattern to be text; got "):
            sn.list_models(nonsense)  # type: ignore[arg-type]


def test_list_models() -> None:
    assert sn.list_models("resnet1*") == ["resnet101", "resnet110", "resnet1202", "resnet152", "resnet18"]
    assert len(sn.list_models()) == 20
    assert all(getattr(sn, name) is build.entry(name).builder for name in sn.list_models())
    assert sn.list_models("inception*") == []


@pytest.mark.parametrize(
    ("options", "shared", "depths"),
    [
        (ResNetOptions, resnet, ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")),
        (CifarResNetOptions, cifar_resnet, ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202")),
        (VGGOptions, make_vgg, ("vgg", "vgg11", "vgg13", "vgg16", "vgg19")),
    ],
)
def test_every_depth_shows_the_options_that_are_written_once(
    options: Any, shared: Callable[..., sn.Net], depths: tuple[str, ...]
) -> None:
    passed = [o for o in inspect.signature(shared).parameters.values() if o.kind is o.KEYWORD_ONLY]
    assert {option.name for option in passed} == set(options.__annotations__)
    letters = {"vgg13": "B", "vgg16": "D", "vgg19": "E"}
    for name in depths:
        builder = build.entry(name).builder
        own = inspect.signature(builder).parameters.values()
        shown = [(option.name, option.default) for option in own if option.kind is option.KEYWORD_ONLY]
        assert shown == [(option.name, option.default) for option in passed]
        assert not any("Annotated" in str(option) for option in own)
        assert builder.__name__ == name
        if name.startswith("vgg"):
            assert inspect.signature(builder).parameters["cfg"].default == letters.get(name, "A")


@pytest.mark.parametrize("name", NETS)
def test_every_builder_is_the_function_in_its_nets_file(name: str) -> None:
    """What editors, ``help`` and Sphinx look at: no wrapper stands before the function that a reader finds."""
    builder = getattr(sn, name)
    family = {"lenet5": "lenet", "convnet3": "convnet", "alexnet": "alexnet"}.get(name, name[:3])
    path = Path(inspect.getsourcefile(builder) or "")
    assert path.parent.name == "models" and path.name.startswith(family)
    source = inspect.getsource(builder)
    assert f"\ndef {name}(" in source and source.index('"""') < source.index(f'"{name}",') < source.index(
        "**options\n" if name == "convnet3" else "**options)\n"
    )
    assert inspect.unwrap(builder) is builder and pickle.loads(pickle.dumps(builder)) is builder
    text = pydoc.render_doc(builder, renderer=pydoc.plaintext)
    for option in inspect.signature(builder).parameters.values():
        assert option.default is not option.empty and f"{option.name}: " in text
        assert option.kind is option.POSITIONAL_OR_KEYWORD or f" = {option.default!r}" in text


@pytest.mark.parametrize("name", NETS)
def test_a_nets_config_has_the_defaults_of_its_signature(name: str) -> None:
    with torch.device("meta"):
        config = sn.build(name).config
    for option in inspect.signature(getattr(sn, name)).parameters.values():
        if option.name not in ("weights", "num_classes") and not (option.name == "dropout" and option.default is None):
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            assert config[option.name] == default, option.name
    assert next(iter(config)) == "name" and "weights" not in config


@pytest.mark.parametrize("name", NETS)
def test_every_builder_documents_its_options_its_count_and_its_source(name: str) -> None:
    builder = build.entry(name).builder
    text = inspect.getdoc(builder) or ""
    parts = [text.index(part) for part in ("Args:", "Shape:", "Raises:", "Source:", ">>> ")]
    assert parts == sorted(parts) and text.count("Args:") == text.count("Source:") == 1
    assert name == "vgg" or f"{build.entry(name).parameters:,} parameters" in text.splitlines()[0]
    arguments = text[parts[0] : parts[1]]
    assert re.findall(r"^    (\w+): ", arguments, re.MULTILINE) == list(inspect.signature(builder).parameters)


def test_signatures_spell_every_option_out() -> None:
    parameters = inspect.signature(sn.resnet50).parameters
    assert list(parameters)[:3] == ["num_classes", "in_channels", "stem"]
    assert parameters["dilate"].default == (False, False, False)
    assert inspect.signature(sn.vgg16).parameters["head"].default == "imagenet"
    for name in sn.list_models():
        kinds = {option.kind for option in inspect.signature(build.entry(name).builder).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds


@pytest.mark.parametrize(
    ("theirs", "ours", "options"),
    [
        *((f"vgg{depth}_bn", f"vgg{depth}", {"batch_norm": True}) for depth in (11, 13, 16, 19)),
        ("resnext50_32x4d", "resnet50", {"groups": 32, "width_per_group": 4}),
        ("resnext101_32x8d", "resnet101", {"groups": 32, "width_per_group": 8}),
        ("resnext101_64x4d", "resnet101", {"groups": 64, "width_per_group": 4}),
        ("wide_resnet50_2", "resnet50", {"width_per_group": 128}),
        ("wide_resnet101_2", "resnet101", {"width_per_group": 128}),
        ("cifar100_resnet20", "resnet20", {"num_classes": 100}),
        ("cifar10_vgg16_bn", "vgg16", {"batch_norm": True, "head": {"hidden": (512, 512)}}),
        ("resnet18_cifar10", "resnet18", {"stem": "cifar"}),
    ],
)
def test_other_libraries_names_lead_to_the_call(theirs: str, ours: str, options: dict[str, object]) -> None:
    """By attribute, by name and on the command line; what is advised there works, and is torchvision's net."""
    call = ", ".join(f"{option}={value!r}" for option, value in options.items())
    advice = f"Take {ours}({call}), on the command line {ours} --set "
    with pytest.raises(AttributeError, match=re.escape(f"smallnets has no '{theirs}'. {advice}")) as info:
        getattr(sn, theirs)
    assert not hasattr(sn, theirs)
    with pytest.raises(sn.OptionError, match=re.escape(f"build: expected the name of a net; got '{theirs}'. {advice}")):
        sn.build(theirs, num_classes=3)
    words = shlex.split(str(info.value).split("on the command line ")[1].removesuffix("."))
    assert words[0] == ours and words[1::2] == ["--set"] * len(options)
    assert parse_settings(words[2::2]) == options
    with torch.device("meta"):
        net = sn.build(words[0], **parse_settings(words[2::2]))
        if hasattr(torchvision.models, theirs):
            twin = getattr(torchvision.models, theirs)()
            assert {k: v.shape for k, v in net.state_dict().items()} == {
                k: v.shape for k, v in twin.state_dict().items()
            }
            assert torchvision_name(net) == theirs


@pytest.mark.parametrize("name", ["cifar10_resnet20", "ResNet20", "resnet20_cifar10", "resnet20_cifar", "resnet-20"])
def test_a_net_by_another_spelling_leads_to_its_name(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^smallnets has no '{name}'. Did you mean 'resnet20'\\?$"):
        getattr(sn, name)
    with pytest.raises(sn.OptionError, match=r"Did you mean 'resnet20'\?$"):
        sn.build(name)


def test_a_name_that_is_near_nothing_is_pythons_own_error() -> None:
    for name in ("quux", "_private", "__wrapped__", "resnet20_bn_cifar7"):
        with pytest.raises(AttributeError, match=name):
            getattr(sn, name)
    with pytest.raises(AttributeError, match=r"^smallnets has no 'summarise'. Did you mean 'summarize'\?$"):
        sn.summarise  # type: ignore[attr-defined] # noqa: B018


WORDS = [
    *((name, "pretrained", "weights='DEFAULT' (torchvision's, for a net that it has) or a file.") for name in NETS),
    *((name, "features_only", "Take feature_pyramid(net), which gives the maps of the net's stages.") for name in NETS),
    *((name, "in_chans", "Did you mean 'in_channels'?") for name in NETS),
    ("resnet50", "replace_stride_with_dilation", "Take dilate=(False, True, True), of layer2, layer3 and layer4."),
    ("resnet20", "replace_stride_with_dilation", "Its options are: num_classes, in_channels, shortcut, residual"),
    ("resnet101", "output_stride", "Take dilate=(False, True, True) for 8, (False, False, True) for 16."),
    ("resnet20", "norm_layer", "Take norm='batch' or norm='group'."),
    ("vgg16", "norm_layer", "Take batch_norm=True or batch_norm=False."),
    ("vgg16", "drop_rate", "Did you mean 'dropout'?"),
    ("alexnet", "drop_rate", "Did you mean 'dropout'?"),
]


@pytest.mark.parametrize(("name", "word", "advice"), WORDS)
def test_other_libraries_options_lead_to_ours(name: str, word: str, advice: str) -> None:
    for call in (getattr(sn, name), partial(sn.build, name)):
        with pytest.raises(sn.OptionError, match=f"^{name}: expected an option that it has; got {word!r}. ") as info:
            call(**{word: True})
        assert advice in str(info.value) and isinstance(info.value, TypeError)


@pytest.mark.parametrize(("stride", "dilate"), [(8, (False, True, True)), (16, (False, False, True)), (32, ())])
def test_the_advised_dilation_gives_that_stride(stride: int, dilate: tuple[bool, ...]) -> None:
    with torch.device("meta"):
        assert sn.resnet50(dilate=dilate or (False,) * 3).feature_info[-1].stride == stride


@pytest.mark.parametrize("name", ["vgg", "vgg11", "vgg13", "vgg16", "vgg19"])
def test_dropout_of_a_vgg_is_that_of_its_head(name: str) -> None:
    """torchvision's keyword: nothing else of the net changes, and a config without it is that of older files."""
    with torch.device("meta"):
        nets = {p: sn.build(name, dropout=p) for p in (None, 0.5, 0.2, 0)}
        twin = torchvision.models.vgg16(dropout=0.2)
    assert "dropout" not in nets[None].config and nets[0.2].config["dropout"] == 0.2
    found = {p: [m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] for p, net in nets.items()}
    assert found == {None: [0.5, 0.5], 0.5: [0.5, 0.5], 0.2: [0.2, 0.2], 0: []}
    assert [m.p for m in twin.modules() if isinstance(m, torch.nn.Dropout)] == found[0.2]
    for net in nets.values():
        assert (net.num_classes, net.input_size) == (1000, (3, 224, 224))
        assert list(net.state_dict()) == list(nets[None].state_dict())
        with torch.device("meta"):
            assert sn.build(**net.config).config == net.config
    with torch.device("meta"):
        wide = sn.vgg16(head="wide", dropout=0.3, num_classes=3)
        compact = sn.vgg16(head="compact", dropout=0.3)
        none = sn.vgg16(head="linear", dropout=0)
    assert [[m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] for net in (wide, compact, none)] == [
        [0.3, 0.3],
        [0.3, 0.3],
        [],
    ]


def test_config_holds_every_option() -> None:
    net = sn.resnet20(shortcut="B")
    assert net.config == {
        "name": "resnet20",
        "num_classes": 10,
        "in_channels": 3,
        "shortcut": "B",
        "residual": True,
        "norm": "batch",
        "inplace": True,
    }
    assert sn.vgg([8, (1, 8)], head=sn.VGGHead(hidden=(4,))).config["head"] == {
        "pool": 1,
        "hidden": [4],
        "batch_norm": False,
        "dropout": 0.5,
    }


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20", "resnet110", "resnet50_layer4", "convnet3"])
@pytest.mark.parametrize("residual", [True, False])
def test_group_norm_leaves_no_batch_norm(name: str, residual: bool) -> None:
    options = {} if name in ("resnet50_layer4", "convnet3") else {"residual": residual}
    with torch.device("meta"):
        net = sn.build(name, norm="group", **options)
    norms = [layer for layer in net.modules() if "Norm" in type(layer).__name__]
    assert norms and all(isinstance(layer, torch.nn.GroupNorm) for layer in norms)
    assert all(layer.num_groups == min(32, layer.num_channels) for layer in norms)


def test_any_sequence_is_a_list_in_the_config() -> None:
    with torch.device("meta"):
        assert sn.alexnet(hidden=range(3, 5)).config["hidden"] == [3, 4]
        net = sn.vgg(range(1, 4), head="linear")
        assert net.config["cfg"] == [1, 2, 3]
        assert sn.build(**net.config).config == net.config


def test_what_does_not_fit_in_memory_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        sn.OptionError, match=r"^vgg: expected sizes .* got sizes that are too large for the memory there is\. Take sm"
    ):
        sn.vgg([8], head=sn.VGGHead(pool=10**5))


@pytest.mark.parametrize("num_classes", [3, False, "10", None])
def test_the_codes_of_1998_are_for_ten_classes(num_classes: object) -> None:
    net = sn.lenet5(variant="1998")
    with pytest.raises(sn.OptionError, match="expected num_classes of 10 or 0; got "):
        net.reset_classifier(num_classes)  # type: ignore[arg-type]
    assert net.num_classes == net.config["num_classes"] == 10


def test_num_classes_default_follows_stem_and_head() -> None:
    with torch.device("meta"):
        assert sn.resnet18().num_classes == sn.alexnet().num_classes == sn.vgg11().num_classes == 1000
        assert sn.resnet18(stem="cifar").num_classes == sn.alexnet(stem="cifar").num_classes == 10
        assert sn.vgg11(head="compact").num_classes == sn.vgg11(head=sn.VGGHead()).num_classes == 10
        features = [sn.resnet50(), sn.vgg11(num_classes=0), sn.alexnet(num_classes=0), sn.lenet5(num_classes=0)]
    assert [net.num_features for net in features] == [2048, 4096, 4096, 84]


def test_response_normalisation_is_the_papers() -> None:
    """Krizhevsky et al. 2012, section 3.3: b = a / (k + alpha * sum of 5 squares) ** beta."""
    layer = sn.vgg11("A-LRN", head="linear").features[2]
    x = torch.rand(1, 7, 2, 2) * 100
    squares = torch.nn.functional.pad(x.square(), (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(dim=-1)
    torch.testing.assert_close(layer(x), x / (2 + 1e-4 * squares) ** 0.75)
    with torch.device("meta"):
        paths = [type(layer).__name__ for layer in sn.alexnet(variant="2012").features[:8]]
    assert paths == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2
