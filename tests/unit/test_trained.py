"""The trained nets of the wheel: what they say of themselves is true, and every way to one gives the same net."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import smallnets as sn
from smallnets.cli import main
from smallnets.models import trained

EACH = [pytest.param(one, id=one.name) for one in sn.pretrained()]
BUNDLED = {"digits"}  # data that needs no download


@pytest.mark.parametrize("one", EACH)
def test_a_shipped_net_is_as_good_as_its_file_says(one: sn.TrainedNet) -> None:
    net = sn.load(one.path)
    assert net.config["name"] == one.net
    assert sum(parameter.numel() for parameter in net.parameters()) == one.parameters
    assert one.bytes == one.path.stat().st_size
    assert net.data_facts.classes == one.classes and len(one.classes) == net.num_classes
    assert net.data_facts.source == one.weights  # no path of whoever trained it
    assert one.runs >= 1 and one.source and one.hardware and one.seconds > 0
    assert one.recipe in {path.stem for path in Path(sn.__file__).parent.glob("experiments/recipes/*.toml")}
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    if one.weights in BUNDLED:
        pytest.importorskip("sklearn")
        test = sn.data.load(one.weights, "test")
        found = sn.evaluate(net, test, precision="fp32")
        assert found.n == one.test_pictures
        assert found.accuracy == pytest.approx(one.accuracy, abs=1 / found.n + 1e-9)  # one picture on an edge


@pytest.mark.parametrize("page", ["README.md", "docs/reference/weights.md"])
def test_the_pages_say_what_the_files_say(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `sn.")]
    for one in sn.pretrained():
        flipped = "-" if one.flipped is None else f"{one.flipped:.4f}"
        call = f'`sn.{one.net}(weights="{one.weights}")`'
        said = f"| {call} | {one.accuracy:.4f} of {one.test_pictures:,} | {flipped} | {one.parameters:,} |"
        assert any(row.startswith(said) for row in rows), said
    assert len(rows) == len(sn.pretrained())


def test_the_digits_are_read_well() -> None:
    assert trained.trained("lenet5:digits").accuracy >= 0.99


def test_the_wheel_stays_small() -> None:
    assert sum(one.bytes for one in sn.pretrained()) < 3_500_000


@pytest.mark.parametrize("one", EACH)
def test_every_way_to_a_shipped_net_gives_the_same(one: sn.TrainedNet) -> None:
    loaded = sn.load(one.name)
    built = sn.build(one.net, weights=one.weights)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, built.state_dict()[name])
    assert built.data_facts == loaded.data_facts
    assert built.metadata["accuracy"] == one.accuracy
    assert built.config == loaded.config and built.training


def test_a_folder_of_the_same_name_does_not_hide_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert sn.lenet5(weights="digits").data_facts is not None


def test_a_file_without_an_ending_is_still_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = sn.lenet5()
    torch.save(net.state_dict(), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert torch.equal(sn.lenet5(weights="mine").features[0].weight, net.features[0].weight)


WRONG = [
    (lambda: sn.lenet5(weights="digit"), "lenet5: expected the name of trained weights or a file; got 'digit'. "
     "Did you mean 'digits'? Its trained weights are 'digits'; or give a file."),
    (lambda: sn.resnet32(weights="digits"), "resnet32: expected the name of trained weights or a file; got 'digits'. "
     "No trained resnet32 comes with the package (it has convnet3:cifar10, lenet5:digits"),
    (lambda: sn.predict("lenet5:digts", torch.zeros(1, 1, 32, 32)), "Did you mean 'lenet5:digits'?"),
    (lambda: sn.load("lenet6:digits"), "expected a trained net; got 'lenet6:digits'. Did you mean 'lenet5:digits'?"),
    (lambda: sn.evaluate("lenet5:cifar", (torch.zeros(1, 1, 32, 32), torch.zeros(1))), "expected a trained net"),
    (lambda: sn.predict("lenet5", torch.zeros(1, 1, 32, 32)), "expected a file with weights; got no such file"),
    (lambda: sn.lenet5(num_classes=3, weights="digits"), "expected the 10 entries of lenet5"),
    (lambda: sn.lenet5(weights="imagenet"), "torchvision"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_a_wrong_name_lists_the_right_ones(call: object, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()  # type: ignore[operator]
    assert said in str(caught.value)


def test_a_better_file_takes_the_place_of_an_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is known of a net is in its file, so that nothing else has to change."""
    first = trained.trained("lenet5:digits")
    shutil.copy(first.path, tmp_path / "lenet5-mine.safetensors")
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    assert [one.name for one in sn.pretrained()] == ["lenet5:mine"]
    assert sn.lenet5(weights="mine").metadata["accuracy"] == first.accuracy
    with pytest.raises(ValueError, match="Its trained weights are 'mine'"):
        sn.lenet5(weights="digits")


def test_an_option_at_its_default_is_the_trained_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = {**sn.lenet5(weights="digits").metadata, "parameters": 1}
    facts = sn.DataFacts(classes=tuple("abcdefghij"), mean=(0.5,) * 3, std=(0.2,) * 3)
    kept_out = ("data_facts", "dtype", "config", "format", "input_size", "smallnets_version", "torch_version")
    nets: dict[str, torch.nn.Module] = {
        "vgg": sn.vgg([16, "M", (1, 32), "M"], batch_norm=True, head="linear"),
        "convnet3": sn.convnet3(channels=(8, 8, 8), dropout=0.1),
        "resnet20": sn.resnet20(),
    }
    for name, net in nets.items():
        net.data_facts = facts
        sn.save(net, tmp_path / f"{name}-mine.safetensors", **{k: v for k, v in about.items() if k not in kept_out})
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    for name, net in nets.items():
        for found in (sn.build(name, weights="mine"), getattr(sn, name)(weights="mine"), sn.load(f"{name}:mine")):
            assert found.config == net.config and found.data_facts == facts
            assert torch.equal(next(found.parameters()), next(net.parameters()))
    assert sn.convnet3(weights="mine", dropout=0.2).config["dropout"] == 0.2
    with pytest.raises(ValueError, match="vgg"):
        sn.vgg("B", weights="mine")  # what is asked for is kept to, and does not fit
    with pytest.raises(ValueError, match="convnet3"):
        sn.convnet3(weights="mine", channels=(8, 8, 16))


def test_pictures_of_any_size_are_classified_out_of_the_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    digits = sn.data.load("digits", "test")[:20]
    for pixels, label, number in zip(digits.images, digits.labels.tolist(), range(20), strict=True):
        side = 20 + 9 * number
        image = Image.fromarray(pixels[0].numpy()).resize((side, side), Image.Resampling.BICUBIC)
        image.convert("RGB" if number % 2 else "L").save(tmp_path / f"{number}-{label}.png")
    found = sn.predict("lenet5:digits", tmp_path)
    right = sum(name.split("-")[1][0] == found.classes[at] for name, at in zip(found.ids, found.labels, strict=True))
    assert right >= 18
    with pytest.raises(SystemExit) as caught:
        main(["predict", "lenet5:digits", str(tmp_path)])
    assert not caught.value.code
    assert capsys.readouterr().out.count("\n") == 20


def test_the_list_of_weights_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "--weights"])
    shown = capsys.readouterr().out
    assert "lenet5:digits" in shown and "0.99" in shown and "359 test pictures" in shown
    with pytest.raises(SystemExit) as caught:
        main(["list", "alexnet*", "--weights"])
    assert caught.value.code == 2
    assert "There are convnet3:cifar10, lenet5:digits, resnet20:cifar10, vgg:cifar10" in capsys.readouterr().err


def test_the_list_costs_no_import_of_torch() -> None:
    code = "import sys, smallnets.models.trained as t; t.pretrained(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hub_gives_every_net_and_the_trained_weights(tmp_path: Path) -> None:
    clone = str(Path(__file__).parents[2])
    code = (
        "import sys, torch, warnings; warnings.simplefilter('ignore')\n"
        f"sys.path.insert(0, {clone!r}); import hubconf; del sys.path[1]\n"
        "nets = {name for name, value in vars(hubconf).items() if callable(value) and name.islower()}\n"
        f"net = torch.hub.load({clone!r}, 'lenet5', source='local', weights='digits')\n"
        f"other = torch.hub.load({clone!r}, 'resnet20', source='local', num_classes=3)\n"
        "import smallnets as sn\n"
        "assert nets == set(sn.list_models()), nets\n"
        "assert net.data_facts.classes and other.num_classes == 3\n"
        f"assert sn.__file__.startswith({clone!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_saved_file_stands_for_its_net_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (40, 40), 9).save(tmp_path / "a.png")
    sn.save(sn.lenet5(weights="digits"), tmp_path / "net.safetensors")
    said = []
    for net in ("lenet5:digits", str(tmp_path / "net.safetensors")):
        with pytest.raises(SystemExit) as caught:
            main(["predict", net, str(tmp_path / "a.png")])
        assert not caught.value.code
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""
    sn.save(sn.lenet5(), tmp_path / "bare.safetensors")
    for file, why in (("bare.safetensors", "a net that knows its data; got "), ("a.png", "a.png")):
        with pytest.raises(SystemExit) as caught:
            main(["predict", str(tmp_path / file), str(tmp_path / "a.png")])
        told = capsys.readouterr().err
        assert caught.value.code == 2 and why in told and told.count("\n") == 1


def test_load_weights_takes_the_names_that_builders_take() -> None:
    for one in sn.pretrained():
        net = sn.build(**one.config)
        sn.load_weights(net, one.weights)
        wanted = sn.load(one.path).state_dict()
        assert all(torch.equal(tensor, wanted[name].to(tensor.dtype)) for name, tensor in net.state_dict().items())
    other = sn.resnet20(num_classes=5)
    with pytest.raises(sn.WeightsError, match='Call load_weights with head="reset"'):
        sn.load_weights(other, "cifar10")
    assert "fc starts afresh" in sn.load_weights(other, "cifar10", head="reset")
    with pytest.raises(sn.WeightsError, match="the name of trained weights or a file; got 'cifar'"):
        sn.load_weights(other, "cifar")


def test_a_path_stands_for_its_net(tmp_path: Path) -> None:
    test = sn.data.load("digits", "test")[:20]
    sn.save(sn.lenet5(weights="digits"), tmp_path / "net.safetensors")
    for net in (tmp_path / "net.safetensors", str(tmp_path / "net.safetensors"), "lenet5:digits"):
        assert sn.evaluate(net, test).n == len(sn.predict(net, test)) == 20
