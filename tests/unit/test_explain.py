"""What is shown of a net is what the net computes."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import smallnets as sn
from smallnets.cli import main

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
    assert text.count('src="data:image/png;base64,') == 4  # the picture, the map of reasons, filters, one layer
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
    (lambda: sn.explain(torch.nn.Conv2d(1, 1, 1), PICTURE), "a net of the zoo that has classes; got a Conv2d"),
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
