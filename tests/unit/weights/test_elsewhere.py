"""Systems and states that are not this one: names that Python lacks there, a full disk, no network."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn

# What Windows, or a small Linux, does not have.
ABSENT = ("preadv", "pread", "fchmod", "link", "fork", "getuid", "sched_getaffinity", "O_DIRECTORY", "posix_fadvise")


@pytest.mark.parametrize("ending", ["safetensors", "pt", "ckpt"])
def test_files_need_nothing_that_windows_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    for name in ABSENT:
        monkeypatch.delattr(os, name, raising=False)
    no_folder = os.open

    def opened(path: Any, *rest: Any, **options: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))  # as Windows answers
        return no_folder(path, *rest, **options)

    monkeypatch.setattr(os, "open", opened)
    net, path = sn.lenet5(), tmp_path / f"net.{ending}"
    if ending == "safetensors":
        sn.save(net, path)
        sn.save(net, path)
        assert torch.equal(sn.load(path).features[0].weight, net.features[0].weight)
    else:
        torch.save(net.state_dict(), path)
    other = sn.lenet5(weights=path)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_no_file_is_held_open_or_mapped_afterwards(tmp_path: Path) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("no list of what is mapped")
    net = sn.lenet5()
    sn.save(net, tmp_path / "net.safetensors")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    loaded = [sn.load(tmp_path / "net.safetensors"), sn.lenet5(weights=tmp_path / "net.pt")]
    sn.load_weights(loaded[0], tmp_path / "net.safetensors")
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    held = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]  # noqa: PTH115 - of pipes
    assert not any(name.startswith(str(tmp_path)) for name in held)


def test_a_home_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    sn.save(sn.lenet5(), "~/net.safetensors")
    assert sn.load("~/net.safetensors").config["name"] == "lenet5"
    assert (tmp_path / "net.safetensors").is_file()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_others_may_read_a_saved_net_where_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        sn.save(sn.lenet5(), tmp_path / "net.safetensors")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "net.safetensors").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space; the old net.safetensors is untouched."),
        (errno.EIO, "The old net.safetensors"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    path = tmp_path / "net.safetensors"
    sn.save(sn.lenet5(), path, accuracy=0.5)
    whole = path.read_bytes()

    def fails(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(sn.WeightsError) as caught:
        sn.save(sn.lenet5(), path)
    assert str(caught.value).endswith(
        f"got {os.strerror(number)}. {advice}" + ("" if "Free" in advice else " is untouched.")
    )
    assert path.read_bytes() == whole
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    path.unlink()
    with pytest.raises(sn.WeightsError, match=r"[Nn]othing was left behind\.$"):
        sn.save(sn.lenet5(), path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_disk_that_is_full_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    sn.save(sn.lenet5(), path)
    whole = path.read_bytes()
    opened = Path.open

    def full(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        return (
            opened(Path("/dev/full"), "r+b", *args, **options)
            if mode == "x+b"
            else opened(self, mode, *args, **options)
        )

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(
        sn.WeightsError, match=r"got No space left on device\. Free some space; the old net\.safetensors"
    ):
        sn.save(sn.lenet5(), path)
    assert path.read_bytes() == whole


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No network and nothing in torchvision's cache; the addresses that were asked for."""
    asked: list[str] = []

    def refuse(url: str, *_: object, **__: object) -> None:
        asked.append(url)
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return asked


def test_without_a_network_the_way_by_a_path_is_told(offline: list[str]) -> None:
    with pytest.raises(sn.WeightsError) as caught:
        sn.resnet18(weights="DEFAULT")
    assert str(caught.value) == (
        "load_weights: expected torchvision to give ResNet18_Weights.IMAGENET1K_V1; got <urlopen error [Errno -2] Name "
        "or service not known>. Download https://download.pytorch.org/models/resnet18-f37072fd.pth elsewhere and give "
        "its path, weights='resnet18-f37072fd.pth'."
    )
    assert len(offline) == 1


@pytest.mark.parametrize(
    ("build", "weights", "why"),
    [
        (sn.resnet18, "ResNet50_Weights.IMAGENET1K_V1", "expected the 122 entries of resnet18"),
        (sn.resnet50, "ResNet18_Weights.DEFAULT", "expected the 320 entries of resnet50"),
        (sn.lenet5, "AlexNet_Weights.DEFAULT", "It is the file of another net"),
        (lambda **how: sn.resnet18(num_classes=10, **how), "DEFAULT", r'Call load_weights with head="reset"'),
        (lambda **how: sn.resnet18(in_channels=1, **how), "DEFAULT", r'Call load_weights with first_conv="average"'),
        (lambda **how: sn.vgg16(batch_norm=True, **how), "VGG16_Weights.DEFAULT", "The net has batch norms"),
    ],
)
def test_weights_of_another_net_are_refused_before_they_are_downloaded(
    offline: list[str], build: Any, weights: str, why: str
) -> None:
    with pytest.raises(sn.WeightsError, match=why):
        build(weights=weights)
    assert not offline


@pytest.mark.parametrize("how", [{"head": "reset"}, {"head": "reset", "first_conv": "average"}])
def test_what_the_options_allow_is_asked_for(offline: list[str], how: dict[str, Any]) -> None:
    net = sn.resnet18(num_classes=10, in_channels=1 if "first_conv" in how else 3)
    with pytest.raises(sn.WeightsError, match="Download https"):
        sn.load_weights(net, "DEFAULT", **how)
    assert len(offline) == 1
