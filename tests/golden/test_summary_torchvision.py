"""Every classification net of torchvision: its multiply-accumulates as its model page prints them (``_ops``, in 1e9)."""

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from smallnets import summarize

NETS = torchvision.models.list_models(module=torchvision.models)
KINDS = {
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t"),
    *("mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "squeezenet1_0", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_16", "wide_resnet50_2"),
}
# RegNets read numbers out of tensors when they are built, so that they cannot be built without memory.
HEAVY = {name for name in NETS if name.startswith("regnet") and name not in ("regnet_x_400mf", "regnet_y_400mf")}


def build(name: str, side: int) -> nn.Module:
    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if name == "googlenet":  # its page counts without the heads for training
        options["aux_logits"] = False
    if name.startswith("vit"):
        options["image_size"] = side
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return torchvision.models.get_model(name, **options)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in KINDS else pytest.mark.slow) for name in sorted({*NETS} - HEAVY)]
)
def test_macs_and_parameters_as_printed(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    side = weights.transforms.keywords["crop_size"]
    summary = summarize(build(name, side), (3, side, side))
    assert summary.failure is None
    assert summary.rows[-1].output == (1, 1000)
    assert summary.totals.params == weights.meta["num_params"]
    assert summary.totals.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=1e-3)
