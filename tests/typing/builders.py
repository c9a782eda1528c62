"""What a type checker knows about the builders; mypy and pyright read this file, nothing runs it."""

from typing import assert_type

import smallnets as sn

assert_type(sn.resnet50(), sn.ResNet)
assert_type(sn.resnet50(3, stem="cifar", dilate=(False, True, True)), sn.ResNet)
assert_type(sn.resnet20(shortcut="B"), sn.ResNet)
assert_type(sn.resnet50_layer4(norm="group"), sn.ResNet)
assert_type(sn.vgg16("D", True, head=sn.VGGHead(hidden=(512,))), sn.VGG)
assert_type(sn.vgg([64, "M", (1, 128), "LRN"]), sn.VGG)
assert_type(sn.alexnet(variant="2012"), sn.AlexNet)
assert_type(sn.lenet5(), sn.LeNet)
assert_type(sn.convnet3(), sn.ConvNet3)

assert_type(sn.build("resnet50"), sn.ResNet)
assert_type(sn.build("resnet1202"), sn.ResNet)
assert_type(sn.build("resnet50_layer4"), sn.ResNet)
assert_type(sn.build("vgg16", batch_norm=True), sn.VGG)
assert_type(sn.build("alexnet"), sn.AlexNet)
assert_type(sn.build("lenet5"), sn.LeNet)
assert_type(sn.build("convnet3"), sn.ConvNet3)


def build_any(name: str) -> None:
    assert_type(sn.build(name), sn.Net)


assert_type(sn.list_models("vgg*"), list[str])
assert_type(sn.resnet18().reset_classifier(2), sn.ResNet)

# Wrong options are seen before the program runs.
sn.resnet50(stem="tiny")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.resnet20(stem="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
