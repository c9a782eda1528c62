"""``save`` and ``load``: one file that rebuilds a net in an empty process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import smallnets as sn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.safetensors"


def metadata_of(path: Path) -> dict[str, object]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["smallnets"])


def rewrite(path: Path, **changes: object) -> None:
    save_file(load_file(path), path, {"smallnets": json.dumps({**metadata_of(path), **changes})})


def test_a_net_is_rebuilt_in_an_empty_process(path: Path) -> None:
    net = sn.convnet3(num_classes=3, hidden=(20,)).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sn.save(net, path, classes=["a", "b", "c"], mean=[0.5], std=[0.2], accuracy=0.75, data_sha="ab12")
    torch.save((x, net(x)), path.with_suffix(".pt"))
    program = (
        "import sys, torch, smallnets as sn\n"
        "net = sn.load(sys.argv[1]).eval()\n"
        "x, logits = torch.load(sys.argv[2])\n"
        "assert torch.equal(net(x), logits)\n"
        "print(net.config['name'], net.metadata['classes'], net.metadata['accuracy'], net.metadata['input_size'])\n"
    )
    command = [sys.executable, "-c", program, str(path), str(path.with_suffix(".pt"))]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == "convnet3 ['a', 'b', 'c'] 0.75 [3, 32, 32]\n"


def test_metadata_names_what_made_the_file(path: Path) -> None:
    sn.save(sn.lenet5(), path, mean=(0.1,))
    found = metadata_of(path)
    assert found["smallnets_version"] == sn.__version__
    assert found["torch_version"] == torch.__version__
    assert found["mean"] == [0.1]
    assert found["config"] == sn.lenet5().config


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_the_size_on_request(path: Path, dtype: torch.dtype) -> None:
    net = sn.lenet5()
    sn.save(net, path)
    whole = path.stat().st_size
    sn.save(net, path, dtype=dtype)
    assert path.stat().st_size / whole == pytest.approx(0.5, abs=0.01)
    loaded = sn.load(path)
    for name, value in net.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], value.to(dtype).float())


def test_a_net_in_half_precision_comes_back_in_half_precision(path: Path) -> None:
    sn.save(sn.convnet3().bfloat16(), path)
    loaded = sn.load(path)
    assert {value.dtype for value in loaded.parameters()} == {torch.bfloat16}
    assert loaded.state_dict()["features.1.running_mean"].dtype == torch.bfloat16


def test_buffers_that_no_file_holds_come_out_right(path: Path) -> None:
    net = sn.lenet5(variant="1998").eval()
    sn.save(net, path)
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(sn.load(path).eval()(x), net(x))


def test_a_reset_head_is_kept(path: Path) -> None:
    net = sn.lenet5().reset_classifier(3)
    sn.save(net, path)
    loaded = sn.load(path)
    assert loaded.num_classes == 3
    assert torch.equal(loaded.state_dict()["classifier.4.weight"], net.state_dict()["classifier.4.weight"])


def test_a_surrounding_device_is_honoured_and_no_random_number_is_drawn(path: Path) -> None:
    sn.save(sn.lenet5(), path)
    state = torch.get_rng_state()
    with torch.device("meta"):
        assert {value.device.type for value in sn.load(path).state_dict().values()} == {"meta"}
    sn.load(path)
    assert torch.equal(torch.get_rng_state(), state)


def test_wrapped_nets_are_saved_from_inside_their_wrappers(path: Path) -> None:
    net = sn.lenet5()
    sn.save(torch.compile(nn.DataParallel(net)), path)
    assert torch.equal(sn.load(path).state_dict()["features.0.weight"], net.state_dict()["features.0.weight"])


def test_a_newer_format_is_refused_with_a_reason(path: Path) -> None:
    sn.save(sn.lenet5(), path)
    rewrite(path, format=2, smallnets_version="9.0")
    with pytest.raises(sn.WeightsError) as caught:
        sn.load(path)
    assert str(caught.value) == (
        "net.safetensors: expected format 1 of the file; got 2, written by smallnets 9.0. Take a newer smallnets."
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"config": None}, "expected a file that save wrote, with a config; got none"),
        ({"config": {"name": "lenet6"}}, "Did you mean 'lenet5'"),
        ({"config": {"num_classes": 3}}, "cannot be built"),
        ({"config": {"name": "lenet5", "colour": 1}}, "an option that it has"),
        ({"config": {"name": "lenet5", "weights": "/etc/passwd"}}, "got weights in it"),
        ({"config": {"name": "lenet5", "num_classes": 3}}, "Nothing was loaded"),
        ({"dtype": "complex64"}, "got dtype 'complex64'"),
    ],
)
def test_a_config_is_not_believed(path: Path, changes: dict[str, object], why: str) -> None:
    sn.save(sn.lenet5(), path)
    rewrite(path, **changes)
    with pytest.raises(sn.WeightsError, match=why):
        sn.load(path)


def test_files_that_other_programs_wrote_are_refused(path: Path) -> None:
    save_file(sn.lenet5().state_dict(), path)
    with pytest.raises(sn.WeightsError, match=r"with a config; got none\. Build the net"):
        sn.load(path)
    save_file(sn.lenet5().state_dict(), path, {"smallnets": "{"})
    with pytest.raises(sn.WeightsError, match="expected metadata that save wrote; got some that is not JSON"):
        sn.load(path)


def swap_head(net: sn.LeNet) -> None:
    net.classifier[4] = nn.Sequential(nn.Linear(84, 20), nn.Linear(20, 10))


def swap_activation(net: sn.LeNet) -> None:
    net.features[1] = nn.GELU()


def widen_stride(net: sn.LeNet) -> None:
    net.features[0].stride = (2, 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (swap_head, "classifier.4 = Sequential"),
        (swap_activation, r"features.1 = GELU"),
        (widen_stride, r"stride=\(2, 2\)"),
    ],
)
def test_nets_changed_by_surgery_are_refused_with_a_reason(path: Path, change, why: str) -> None:
    net = sn.lenet5()
    change(net)
    with pytest.raises(sn.WeightsError, match=f"^save: expected a net as its builder makes it; got .*{why}"):
        sn.save(net, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "name", "options", "why"),
    [
        (lambda: nn.Linear(2, 2), "net.safetensors", {}, "a net of the zoo; got a Linear"),
        (sn.lenet5, "net.pt", {}, "Take 'net.safetensors'"),
        (sn.lenet5, "none/net.safetensors", {}, "a folder to write to"),
        (sn.lenet5, "net.safetensors", {"dtype": torch.int8}, "dtype to be one of"),
        (sn.lenet5, "net.safetensors", {"config": {}}, "metadata under another name; got 'config'"),
        (sn.lenet5, "net.safetensors", {"mean": torch.zeros(3)}, "metadata that JSON can hold"),
        (sn.lenet5, "net.safetensors", {"accuracy": float("nan")}, "metadata that JSON can hold"),
        (lambda: sn.lenet5().double(), "net.safetensors", {}, "a net all in"),
        (lambda: sn.lenet5().to("meta"), "net.safetensors", {}, "a net with values; got one on the meta device"),
    ],
)
def test_bad_saves_are_refused(tmp_path: Path, make, name: str, options: dict[str, object], why: str) -> None:
    with pytest.raises(sn.SmallnetsError, match=why):
        sn.save(make(), tmp_path / name, **options)
    assert not any(tmp_path.iterdir())


def test_building_loading_and_saving_never_import_torchvision(path: Path) -> None:
    program = (
        "import sys, smallnets as sn\n"
        "sn.save(sn.resnet20(), sys.argv[1])\n"
        "net = sn.resnet20(weights=sys.argv[1])\n"
        "sn.load_weights(net, sys.argv[1])\n"
        "sn.fuse(sn.load(sys.argv[1])), sn.feature_pyramid(net), sn.freeze(net, 'layer1')\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
