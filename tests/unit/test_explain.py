"""What is shown of a net is what the net computes."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from torch.nn import functional as F

import smallnets as sn
from smallnets.cli import main
from smallnets.explaining.page import page

PICTURE = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["lenet5", "convnet3", "resnet20", "vgg11", "alexnet"])
def test_every_family_is_explained_and_left_as_it_was(name: str) -> None:
    small = {"vgg11": {"head": "linear"}, "alexnet": {"stem": "cifar"}}.get(name, {})
    torch.manual_seed(0)
    net = sn.build(name, **small)
    x = torch.randn(net.input_size[0], 32, 32)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = sn.explain(net, x)
    assert net.training and not any(parameter.grad is not None for parameter in net.parameters())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert list(found.maps) == [stage.name for stage in net.feature_info]
    with torch.no_grad():
        expected = net.eval()(x[None]).softmax(1)[0]
    torch.testing.assert_close(found.probabilities, expected)
    assert found.target == int(expected.argmax()) and found.cam.shape == (32, 32)
    assert found.cam.min() >= 0 and found.cam.max() in (0, 1)


def test_grad_cam_is_the_papers() -> None:
    """Of a head that is a mean and a linear layer, the gradient is the layer's weight over the map's size."""
    torch.manual_seed(0)
    net = sn.resnet20().eval()
    x = torch.randn(3, 32, 32)
    found = sn.explain(net, x, target=4)
    with torch.no_grad():
        last = net.forward_features(x[None])
        cam = F.relu((net.fc.weight[4].view(1, -1, 1, 1) * last).sum(1, keepdim=True))
        cam = F.interpolate(cam, (32, 32), mode="bilinear")[0, 0]
    torch.testing.assert_close(found.cam, cam / cam.max())


def test_a_picture_of_any_size_and_one_page_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(PICTURE[0].numpy()).resize((90, 90)).save(tmp_path / "a.png")
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as caught:
        main(["explain", "lenet5:digits", str(tmp_path / "a.png"), "--html", str(page), "--layers", "features.5"])
    assert not caught.value.code and "lenet5: " in capsys.readouterr().out
    text = page.read_text()
    # The picture, the map of reasons, filters, one layer; of six channels the map and what excites it.
    assert text.count('src="data:image/png;base64,') == 4 + 2 * 6
    assert "http" not in text.replace("http-equiv", "") and "Maps of features.5" in text and "features.2" not in text


def test_names_of_classes_are_text_on_the_page(tmp_path: Path) -> None:
    net = sn.lenet5(num_classes=2)
    net.data_facts = sn.DataFacts(("<b>cat", "dog & co"), 1, (32, 32), (0.3,), (0.3,))
    sn.explain(net, PICTURE).to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<b>cat" not in text and "&lt;b&gt;cat" in text and "dog &amp; co" in text


def test_floats_and_uint8_mean_the_same_once_normalised() -> None:
    net = sn.lenet5(weights="digits")
    mean, std = net.data_facts.mean[0], net.data_facts.std[0]
    one, other = sn.explain(net, PICTURE), sn.explain(net, (PICTURE / 255 - mean) / std)
    torch.testing.assert_close(one.probabilities, other.probabilities)
    assert one.classes == tuple("0123456789") and str(one).startswith("lenet5: ")


REFUSED = [
    (lambda: sn.explain(torch.nn.Conv2d(1, 1, 1), PICTURE / 1.0), "a net that gives logits, (N, classes); got shape (1, 1, 32, 32)"),
    (lambda: sn.explain(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, 2)), PICTURE / 1.0), "a net whose layers make maps"),
    (lambda: sn.explain("resnet20", PICTURE), "a torch.nn.Module; got a str"),
    (lambda: sn.explain(Odd(), torch.zeros(3, 32, 32)), "a picture that the net takes; got (3, 32, 32): "),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE, examples=[PICTURE]), "examples to be an ImageSet; got a list"),
    (lambda: sn.explain(sn.lenet5(num_classes=0), PICTURE), "got num_classes=0"),
    (lambda: sn.explain(sn.lenet5(), PICTURE), "for a net without facts of its data"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE.long()), "got torch.int64 pixels"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE[None]), "one picture, (C, H, W); got shape (1, 1, 32, 32)"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE, target="cat"), "target to be one of '0'"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE, target=10), "target below 10"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), PICTURE, layers=["conv9"]), "the name of a stage; got 'conv9'"),
    (lambda: sn.explain(sn.lenet5(weights="digits"), "no/such.png"), "no/such.png"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_cannot_be_explained_is_said(call: object, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()  # type: ignore[operator]
    assert said in str(caught.value)


class Odd(torch.nn.Module):
    """Not of the zoo, not traceable by torch.fx, with a ReLU that overwrites its last map."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Conv2d(1, 5, 3, padding=1), torch.nn.Conv2d(5, 7, 3, stride=2, padding=1)
        self.relu, self.fc = torch.nn.ReLU(inplace=True), torch.nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.one(x))
        if x.shape[2] > 1000:
            x = x / 2
        return self.fc(self.relu(self.two(x)).mean((2, 3)))


def test_nets_of_others_are_explained_too() -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=4)
    x = torch.randn(3, 64, 64)
    found = sn.explain(net, x, target=2)
    assert found.net == "ResNet" and found.classes == ("0", "1", "2", "3") and net.training
    assert list(found.maps)[-1] == "layer4" and found.maps["layer4"].shape == (512, 2, 2)
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(found.probabilities, net(x[None]).softmax(1)[0])
    ours = sn.resnet18(num_classes=4).eval()
    ours.load_state_dict(net.state_dict())
    torch.testing.assert_close(found.cam, sn.explain(ours, x, target=2).cam)


@pytest.mark.parametrize("traced", [True, False])
def test_a_net_without_names_of_its_own(traced: bool) -> None:
    torch.manual_seed(0)
    odd = Odd()
    flat = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.ReLU(True),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )
    net = flat if traced else odd
    net.data_facts = sn.DataFacts(("a", "b", "c"), 1, (32, 32), (0.4,), (0.3,))
    found = sn.explain(net, PICTURE)
    assert found.classes == ("a", "b", "c") and found.maps and found.cam.shape == (32, 32)
    assert "Maps of" in page(found)


def test_the_cam_of_any_net_is_captums() -> None:
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    nets = [
        (sn.lenet5(inplace=False), "features.5", 1),
        (sn.resnet20(), "layer3", 3),
        (torchvision.models.resnet18(), "layer4", 3),
    ]
    for net, path, channels in nets:
        x, positive = torch.randn(1, channels, 32, 32), 0
        net.eval()
        for target in range(4):
            cam = attr.LayerGradCam(net, net.get_submodule(path)).attribute(x, target=target, relu_attributions=True)
            cam = F.interpolate(cam, (32, 32), mode="bilinear")[0, 0].detach()
            positive += bool(cam.max() > 0)
            torch.testing.assert_close(sn.explain(net, x[0], target=target).cam, cam / cam.max().clamp(min=1e-30))
        assert positive


def test_examples_are_those_that_excite_a_channel_most() -> None:
    pytest.importorskip("sklearn")
    net, test = sn.lenet5(weights="digits").eval(), sn.data.load("digits", "test")
    found = sn.explain(net, test.images[5], layers=["features.5"], examples=test)
    mean, std = net.data_facts.mean[0], net.data_facts.std[0]
    with torch.no_grad():
        peaks = net.features((test.images / 255 - mean) / std).amax(dim=(2, 3))
    shown = found.examples["features.5"]
    assert [one.channel for one in shown] == peaks[5].topk(6).indices.tolist()
    for one in shown:
        best = peaks[:, one.channel].topk(8)
        assert one.ids == tuple(test.ids[row] for row in best.indices)
        assert one.labels == tuple(test.classes[test.labels[row]] for row in best.indices)
        torch.testing.assert_close(one.values, best.values)
        assert torch.equal(one.pictures, test.images[best.indices])
    assert page(found).count("<figcaption>Channel ") == 6 and len(page(found)) < 200_000


def test_a_run_knows_its_test_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    for split, (name, colour), number in itertools.product(("train", "test"), colours.items(), range(6)):
        place = tmp_path / "data" / split / name / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), tuple(max(0, part - 9 * number) for part in colour)).save(place)
    data, run = str(tmp_path / "data"), tmp_path / "run"
    call(["fit", "convnet3", "--data", data, "--epochs", "1", "--run-dir", str(run), "--device", "cpu"])
    explaining = ["explain", str(run), f"{data}/test/red/3.png", "--html", str(tmp_path / "page.html")]
    call(explaining)
    assert "What excites" in (tmp_path / "page.html").read_text()
    shutil.move(data, tmp_path / "elsewhere")
    explaining[2] = explaining[2].replace(data, str(tmp_path / "elsewhere"))
    capsys.readouterr()
    call(explaining)
    assert "no test pictures on the page: " in capsys.readouterr().err
    assert "What excites" not in (tmp_path / "page.html").read_text()
    call([*explaining, "--data", str(tmp_path / "elsewhere")])
    assert "What excites" in (tmp_path / "page.html").read_text()
    with pytest.raises(SystemExit) as caught:
        main([*explaining, "--data", "no-such-set"])
    assert caught.value.code == 2


def call(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert not caught.value.code
