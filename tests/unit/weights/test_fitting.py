"""What does not fit changes nothing and is told in one table; what may differ on request does, and says so."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn


def snapshot(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def unchanged(net: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_checkpoint_that_does_not_fit_changes_nothing_and_gives_a_table() -> None:
    net = sn.lenet5()
    state = sn.lenet5().state_dict()
    del state["features.3.bias"]
    state["features.0.weight"] = torch.zeros(6, 1, 3, 3)
    state["classifier.0.bias"] = torch.zeros(120, dtype=torch.int8)
    state["colour"] = torch.zeros(3)
    before = snapshot(net)
    with pytest.raises(sn.WeightsError) as caught:
        sn.load_weights(net, state)
    assert unchanged(net, before)
    assert str(caught.value) == (
        "load_weights: expected the 10 entries of lenet5; got from the state dict 7 that fit, 1 missing, 1 unexpected, "
        "2 unlike, first features.0.weight. Nothing was loaded.\n"
        "  name               expected      found\n"
        "  features.0.weight  (6, 1, 5, 5)  (6, 1, 3, 3)\n"
        "  features.3.bias    (16,)         missing\n"
        "  classifier.0.bias  (120,)        (120,) int8\n"
        "  colour             nothing       (3,)"
    )


def test_weights_of_another_net_are_refused_with_a_table_of_bearable_length() -> None:
    with pytest.raises(sn.WeightsError, match=r"It is the file of another net\.") as caught:
        sn.load_weights(sn.lenet5(), sn.resnet56().state_dict())
    lines = str(caught.value).splitlines()
    assert len(lines) == 33
    assert lines[-1].endswith(" more")


def test_names_that_match_with_shapes_that_do_not() -> None:
    with pytest.raises(
        sn.WeightsError, match=r"The names fit and the shapes do not: build the net with the width, stem"
    ):
        sn.load_weights(sn.convnet3(), sn.convnet3(channels=(16, 32, 64)).state_dict())


def test_both_remedies_are_named_where_both_are_needed() -> None:
    with pytest.raises(sn.WeightsError, match=r'with first_conv="average" \(or "repeat"\) and head="reset", or build'):
        sn.load_weights(sn.resnet20(num_classes=3, in_channels=1), sn.resnet20().state_dict())


@pytest.mark.parametrize(
    ("net", "file", "why"),
    [
        (
            lambda: sn.resnet18(num_classes=10),
            lambda: sn.resnet18(stem="cifar"),
            r"build the net with the width, stem and",
        ),
        (
            lambda: sn.vgg11(head="linear"),
            lambda: sn.vgg11(head="linear", batch_norm=True),
            r"The file has batch norms",
        ),
        (lambda: sn.vgg11(head="linear", batch_norm=True), lambda: sn.vgg11(head="linear"), r"The net has batch norms"),
    ],
)
def test_what_differs_is_named(net: Any, file: Any, why: str) -> None:
    with pytest.raises(sn.WeightsError, match=why):
        sn.load_weights(net(), file().state_dict())


@pytest.mark.parametrize("odd", ["sparse", "meta", "complex"])
def test_tensors_that_are_no_plain_numbers_are_refused(odd: str) -> None:
    net = sn.lenet5()
    state: dict[str, Any] = dict(net.state_dict())
    bias = torch.ones(6)
    state["features.0.bias"] = {"sparse": bias.to_sparse(), "meta": bias.to("meta"), "complex": bias.cfloat()}[odd]
    with pytest.raises(sn.WeightsError, match=r"9 that fit, 1 unlike, first features\.0\.bias"):
        sn.load_weights(net, state)


def test_a_builder_with_weights_that_do_not_fit_builds_nothing() -> None:
    with pytest.raises(sn.WeightsError, match=r'Call load_weights with head="reset", or build the net as the'):
        sn.lenet5(num_classes=3, weights=sn.lenet5().state_dict())


def test_resetting_the_head_accepts_another_number_of_classes_and_says_so() -> None:
    trained, net = sn.resnet20(), sn.resnet20(num_classes=3)
    with pytest.raises(sn.WeightsError, match=r"first fc\.weight"):
        sn.load_weights(net, trained.state_dict())
    line = sn.load_weights(net, trained.state_dict(), head="reset")
    assert line == "resnet20: 114 entries from the state dict; fc starts afresh with 3 classes"
    assert torch.equal(net.conv1.weight, trained.conv1.weight)
    assert net.fc.weight.shape == (3, 64)


def test_a_reset_head_is_a_fresh_one() -> None:
    net = sn.lenet5(num_classes=3)
    nn.init.constant_(net.get_submodule("classifier.4").weight, 9.0)
    sn.load_weights(net, sn.lenet5().state_dict(), head="reset")
    assert net.get_submodule("classifier.4").weight.abs().max() < 1


def test_a_head_that_fits_is_loaded_and_one_that_is_missing_starts_afresh() -> None:
    trained, net = sn.lenet5(), sn.lenet5()
    assert sn.load_weights(net, trained.state_dict(), head="reset") == "lenet5: 10 entries from the state dict"
    assert torch.equal(net.state_dict()["classifier.4.weight"], trained.state_dict()["classifier.4.weight"])
    headless = {name: value for name, value in trained.state_dict().items() if not name.startswith("classifier.4")}
    assert sn.load_weights(net, headless, head="reset").endswith("classifier.4 starts afresh with 10 classes")


def test_a_net_without_classes_leaves_the_head_of_the_file_out() -> None:
    net = sn.resnet20(num_classes=0)
    with pytest.raises(sn.WeightsError, match="2 unexpected"):
        sn.load_weights(net, sn.resnet20().state_dict())
    assert sn.load_weights(net, sn.resnet20().state_dict(), head="reset").endswith("; the file's fc left out")


def test_a_reset_does_not_forgive_other_misfits() -> None:
    net = sn.lenet5(num_classes=3, in_channels=3)
    before = snapshot(net)
    with pytest.raises(sn.WeightsError, match=r"first features\.0\.weight"):
        sn.load_weights(net, sn.lenet5().state_dict(), head="reset")
    assert unchanged(net, before)


def test_a_net_without_a_linear_head_cannot_have_it_reset() -> None:
    for net in (sn.lenet5(variant="1998"), nn.Conv2d(1, 1, 1)):
        with pytest.raises(sn.WeightsError, match="expected a net with a linear head to reset"):
            sn.load_weights(net, net.state_dict(), head="reset")


@pytest.mark.parametrize("how", ["average", "repeat"])
@pytest.mark.parametrize(("have", "want"), [(3, 1), (1, 3), (3, 6), (3, 4)])
def test_another_number_of_channels_is_taken_on_request_only(how: Any, have: int, want: int) -> None:
    trained, net = sn.resnet20(in_channels=have), sn.resnet20(in_channels=want)
    with pytest.raises(sn.WeightsError, match=r'Call load_weights with first_conv="average" \(or "repeat"\), or build'):
        sn.load_weights(net, trained.state_dict())
    line = sn.load_weights(net, trained.state_dict(), first_conv=how)
    assert line.endswith(f"; first convolution: {have} channels made {want} ({how})")
    old, new = trained.conv1.weight, net.conv1.weight
    if how == "average":
        assert torch.allclose(new, (old.mean(1, keepdim=True) * have / want).expand_as(new))
        assert torch.allclose(new.sum(1), old.sum(1), atol=1e-6)
    else:
        for channel in range(want):
            assert torch.allclose(new[:, channel], old[:, channel % have] * have / want)


def test_the_same_number_of_channels_is_left_alone() -> None:
    trained, net = sn.resnet20(), sn.resnet20()
    sn.load_weights(net, trained.state_dict(), first_conv="average")
    assert torch.equal(net.conv1.weight, trained.conv1.weight)


@pytest.mark.parametrize("option", ["head", "first_conv"])
def test_options_are_checked(option: str) -> None:
    with pytest.raises(ValueError, match=f"expected {option} to be one of 'strict'"):
        sn.load_weights(sn.lenet5(), sn.lenet5().state_dict(), **{option: "lax"})  # type: ignore[arg-type]


def test_loading_is_in_place() -> None:
    net = sn.lenet5()
    parameters, pointers = list(net.parameters()), [value.data_ptr() for value in net.parameters()]
    sn.load_weights(net, sn.lenet5().half().state_dict())
    assert all(new is old for new, old in zip(net.parameters(), parameters, strict=True))
    assert [value.data_ptr() for value in net.parameters()] == pointers
    assert {value.dtype for value in net.parameters()} == {torch.float32}


def test_wrapped_modules_are_loaded_inside_their_wrappers() -> None:
    net, trained = sn.lenet5(), sn.lenet5()
    sn.load_weights(torch.compile(nn.DataParallel(net)), trained.state_dict())
    assert unchanged(net, trained.state_dict())


def test_a_module_that_is_not_ours_can_be_loaded() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    other = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 5))
    assert sn.load_weights(net, other.state_dict(), head="reset").endswith("2 starts afresh with 2 classes")
    assert torch.equal(net[0].weight, other[0].weight)


def test_a_builder_draws_no_random_number_and_does_not_share_memory_with_the_state_dict() -> None:
    trained = sn.resnet20()
    state = torch.get_rng_state()
    net = sn.resnet20(weights=trained.state_dict())
    assert torch.equal(torch.get_rng_state(), state)
    assert unchanged(net, trained.state_dict())
    nn.init.zeros_(trained.conv1.weight)
    assert net.conv1.weight.abs().min() > 0
    assert all(value.requires_grad and value.is_leaf for value in net.parameters())


def test_views_of_one_storage_come_apart(tmp_path: Path) -> None:
    net = sn.lenet5()
    flat = torch.cat([value.flatten() for value in net.state_dict().values()])
    sizes = [value.numel() for value in net.state_dict().values()]
    views = {
        name: part.view_as(value)
        for (name, value), part in zip(net.state_dict().items(), flat.split(sizes), strict=True)
    }
    torch.save(views, tmp_path / "flat.pt")
    loaded = sn.lenet5(weights=tmp_path / "flat.pt")
    assert unchanged(loaded, net.state_dict())
    assert all(value.untyped_storage().nbytes() == value.numel() * 4 for value in loaded.parameters())


def test_a_model_on_the_meta_device_gets_its_memory_from_the_file() -> None:
    trained = sn.resnet20()
    with torch.device("meta"):
        net, tables = sn.resnet20(num_classes=3), nn.Linear(2, 2)
        tables.register_buffer("order", torch.arange(2), persistent=False)
    sn.load_weights(net, trained.state_dict(), head="reset")
    assert not any(value.is_meta for value in net.state_dict().values())
    assert net(torch.zeros(2, 3, 32, 32)).isfinite().all()
    with pytest.raises(sn.WeightsError, match=r"expected a model with values; got order on the meta device"):
        sn.load_weights(tables, nn.Linear(2, 2).state_dict())
    assert tables.weight.is_meta


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub whose folder for checkpoints is torchvision's cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("form", ["member", "full name", "name", "DEFAULT"])
def test_torchvisions_enums_and_their_names(hub: Path, form: str) -> None:
    from torchvision.models import ResNet18_Weights

    trained = sn.resnet18()
    torch.save(trained.state_dict(), hub / "resnet18-f37072fd.pth")
    source: Any = {
        "member": ResNet18_Weights.IMAGENET1K_V1,
        "full name": "ResNet18_Weights.IMAGENET1K_V1",
        "name": "IMAGENET1K_V1",
        "DEFAULT": "DEFAULT",
    }[form]
    assert unchanged(sn.resnet18(weights=source), trained.state_dict())


def test_a_cached_file_that_would_run_code_is_refused(hub: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (hub / "it-ran",))

    torch.save({"fc.weight": Hostile()}, hub / "resnet18-f37072fd.pth")
    with pytest.raises(sn.WeightsError, match=r"expected torchvision to give ResNet18_Weights\.IMAGENET1K_V1"):
        sn.resnet18(weights="DEFAULT")
    assert not (hub / "it-ran").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "ResNet18_Weights.IMAGENET1K_V7",
            "expected the name of torchvision weights; got 'ResNet18_Weights.IMAGENET1K_V7'",
        ),
        ("Resnet18_Weights.IMAGENET1K_V1", "Did you mean 'ResNet18_Weights.IMAGENET1K_V1'"),
        ("IMAGENET1K_V3", "expected the name of torchvision weights"),
    ],
)
def test_names_that_torchvision_does_not_have(name: str, why: str) -> None:
    with pytest.raises(sn.WeightsError, match=why):
        sn.resnet18(weights=name)


def test_a_net_that_torchvision_does_not_have_has_no_default() -> None:
    for name in ("DEFAULT", "imagenet"):
        wanted = f"expected weights that torchvision has for lenet5; got '{name}'. torchvision has none of this net"
        with pytest.raises(sn.WeightsError, match=wanted):
            sn.lenet5(weights=name)
        with pytest.raises(sn.WeightsError, match=wanted):
            sn.load_weights(sn.lenet5(), name)


def test_weights_known_to_be_v15_in_a_v1_net_give_a_warning(hub: Path, tmp_path: Path) -> None:
    trained = sn.resnet50(num_classes=1000)
    torch.save(trained.state_dict(), hub / "resnet50-0676ba61.pth")
    for source in ("ResNet50_Weights.IMAGENET1K_V1", hub / "resnet50-0676ba61.pth"):
        with pytest.warns(UserWarning, match='trained with the stride in the 3x3 convolution .* stride_in="3x3"'):
            sn.resnet50(stride_in="1x1", weights=source)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sn.resnet50(weights=source)
    sn.save(trained, tmp_path / "ours.safetensors")
    with pytest.warns(UserWarning, match=r"ours\.safetensors was trained with the stride in the 3x3"):
        sn.resnet50(stride_in="1x1", weights=tmp_path / "ours.safetensors")


def test_other_files_with_those_names_are_not_warned_about(tmp_path: Path) -> None:
    net = sn.resnet50(stem="cifar", stride_in="1x1")
    torch.save(net.state_dict(), tmp_path / "mine.pth")
    sn.load_weights(net, tmp_path / "mine.pth")
