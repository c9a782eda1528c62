"""What cannot be summarised is said in one sentence, with the table as far as it goes."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from smallnets import lenet5, summarize
from smallnets.errors import ShapeError


@pytest.fixture(scope="module")
def vgg16() -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.vgg16()


def test_a_picture_too_small_explains_itself(vgg16: nn.Module) -> None:
    summary = summarize(vgg16, (3, 16, 16))
    assert summary.rows[-1].path == "features.29"
    assert summary.failure == (
        "VGG: expected an input of at least 32x32; got 16x16, which is 1x1 where it reaches features.30 (MaxPool2d), "
        "too small for its 2x2 window. Enlarge the picture."
    )
    assert "stopped here: VGG: expected an input of at least 32x32" in str(summary)
    assert summary.to_dict()["failure"] == summary.failure


def test_a_head_of_fixed_size_names_the_size_that_fits() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 49, 10))
    assert summarize(net, (3, 32, 32)).failure == (
        "Sequential: expected an input of 16x16; got 32x32, which is (1, 900) where it reaches 3 (Linear), "
        "900 features instead of 196. Resize the picture to 16x16."
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((4, 224, 224), "VGG: expected 3 channels at features.0 (Conv2d); got 4 in (1, 4, 224, 224). "),
        ((1, 3, 224, 224), "Give input_size without the batch dimension, like (3, 224, 224)."),
        ((224, 224), "VGG: expected a batch of maps (N, 3, H, W) at features.0 (Conv2d); got (1, 224, 224)."),
        ((3, 0, 224), "expected an input size of positive integers"),
        ((3, -224, 224), "got (3, -224, 224)."),
        ((3, 22.4, 224), "expected an input size of positive integers"),
        (224, "got 224."),
        ((), "got ()."),
        ("3x224x224", "got '3x224x224'."),
        ([(3, 224, 224), (3, 224, 224)], "a size for each argument of VGG.forward (x); got 2 in order."),
        ({"image": (3, 224, 224)}, "Name them: input_size={'x': (3, 32, 32)}."),
    ],
)
def test_sizes_that_cannot_be(vgg16: nn.Module, size: Any, words: str) -> None:
    with pytest.raises(ShapeError) as caught:
        summarize(vgg16, size)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "2"])
def test_batch_sizes_that_cannot_be(batch_size: Any) -> None:
    with pytest.raises(ShapeError, match="batch_size"):
        summarize(lenet5(), (1, 32, 32), batch_size=batch_size)


class Decides(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.how == "if" and x.sum() > 0:
            return x
        if self.how == "item":
            return x * x.max().item()
        if self.how == "mask":
            return x[x > 0]
        if self.how == "list":
            return x * max(x.flatten().tolist())
        if self.how == "numpy":
            return x + torch.from_numpy(x.numpy())
        return x.nonzero()


@pytest.mark.parametrize("how", ["if", "item", "mask", "list", "numpy", "nonzero"])
def test_control_flow_that_depends_on_the_data(how: str) -> None:
    summary = summarize(Decides(how), (3, 8, 8))
    assert summary.rows[0].path == "conv"
    assert summary.failure is not None
    assert summary.failure.startswith(
        "Decides: expected a forward whose course follows from the sizes alone; got a value read out of a tensor in "
    )


class Named(nn.Module):
    def forward(self, *, image: Tensor, mask: Tensor) -> Tensor:
        return image * mask


def test_a_forward_that_wants_keywords() -> None:
    with pytest.raises(ShapeError) as caught:
        summarize(Named(), (3, 8, 8))
    assert str(caught.value) == (
        "summarize: expected a size for each argument of Named.forward (image, mask); got 1 in order. "
        "Name them: input_size={'image': (3, 32, 32), 'mask': (3, 32, 32)}."
    )
    assert summarize(Named(), {"image": (3, 8, 8), "mask": (1, 8, 8)}).rows[-1].output == (1, 3, 8, 8)


def test_a_scripted_model() -> None:
    class Scripted(torch.jit.ScriptModule):
        pass

    with pytest.raises(ShapeError, match="got a scripted Scripted"):
        summarize(Scripted(), (3, 8, 8))


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation:UserWarning")
def test_a_quantised_model() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1))
    net.register_buffer("weight", torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8))
    with pytest.raises(ShapeError, match="got a quantised Sequential"):
        summarize(net, (3, 8, 8))


def test_a_lazy_model() -> None:
    with pytest.raises(ShapeError, match="got a lazy LazyConv2d at '0' that has no shape yet"):
        summarize(nn.Sequential(nn.LazyConv2d(3, 1)), (3, 8, 8))


def test_a_compiled_or_wrapped_model_is_what_it_wraps() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    expected = summarize(net, (3, 8, 8)).to_dict()
    assert summarize(torch.compile(net), (3, 8, 8)).to_dict() == expected
    assert summarize(nn.DataParallel(net), (3, 8, 8)).to_dict() == expected
    net.compile()
    assert summarize(net, (3, 8, 8)).to_dict() == expected


class OnTheGPU(nn.Module):
    """Written for a GPU that need not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to("cuda").cuda()
        ramp = torch.arange(6, device="cuda", dtype=torch.float32)
        return (F.relu(self.conv(x)) + ramp.to(device="cuda:0")).cpu()


def test_a_forward_that_names_a_gpu() -> None:
    assert summarize(OnTheGPU(), (3, 8, 8)).rows[-1].output == (1, 4, 6, 6)


@pytest.mark.parametrize("model", [None, lambda x: x, nn.Linear])
def test_what_is_no_module(model: Any) -> None:
    with pytest.raises(ValueError, match=r"summarize: expected a torch\.nn\.Module; got "):
        summarize(model, (3, 8, 8))


def test_an_exported_model() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    exported = torch.export.export(net, (torch.zeros(1, 3, 8, 8),)).module()
    assert summarize(exported, (3, 8, 8)).totals.macs == summarize(net, (3, 8, 8)).totals.macs


def test_any_other_refusal_is_quoted() -> None:
    class Splits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x.relu().chunk(2, dim=1)
            return a @ b

    failure = summarize(Splits(), (4, 3, 5)).failure
    assert failure is not None
    assert failure.startswith("Splits: expected ")
    assert "matmul" in failure
    assert "\n" not in failure
