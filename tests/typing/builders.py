"""What a type checker knows about the builders; mypy and pyright read this file, nothing runs it."""

from typing import Any, Literal, assert_type

import smallnets as sn

assert_type(sn.resnet50(), sn.ResNet)
assert_type(sn.resnet50(3, stem="cifar", dilate=(False, True, True)), sn.ResNet)
assert_type(sn.resnet152(None, 1, groups=32, width_per_group=4, weights=None), sn.ResNet)
assert_type(sn.resnet20(shortcut="B"), sn.ResNet)
assert_type(sn.resnet50_layer4(norm="group"), sn.ResNet)
assert_type(sn.vgg11("A-LRN"), sn.VGG)
assert_type(sn.vgg13("B", inplace=False), sn.VGG)
assert_type(sn.vgg16("D", True, head=sn.VGGHead(hidden=(512,))), sn.VGG)
assert_type(sn.vgg16("C", dropout=0.2), sn.VGG)
assert_type(sn.vgg19([64, "M"], num_classes=None), sn.VGG)
assert_type(sn.vgg([64, "M", (1, 128), "LRN"]), sn.VGG)
assert_type(sn.vgg("E"), sn.VGG)
assert_type(sn.alexnet(variant="2012"), sn.AlexNet)
assert_type(sn.alexnet(hidden=None, dropout=0.1), sn.AlexNet)
assert_type(sn.convnet3(), sn.ConvNet3)
assert_type(sn.convnet3(10, 1, channels=[8, 16], kernel_size=3), sn.ConvNet3)

assert_type(sn.lenet5(), sn.LeNet)
assert_type(sn.lenet5(3, 3, variant="wide", input_size=224), sn.LeNet)
assert_type(sn.lenet5(variant="1998"), sn.LeNet1998)
assert_type(sn.lenet5().features[0] is sn.lenet5().classifier[0], bool)

assert_type(sn.build("resnet50"), sn.ResNet)
assert_type(sn.build("resnet1202"), sn.ResNet)
assert_type(sn.build("resnet50_layer4"), sn.ResNet)
assert_type(sn.build("vgg16", batch_norm=True), sn.VGG)
assert_type(sn.build("alexnet"), sn.AlexNet)
assert_type(sn.build("lenet5"), sn.LeNet)
assert_type(sn.build("lenet5", variant="1998"), sn.LeNet1998)
assert_type(sn.build("lenet5", num_classes=3, variant="wide"), sn.LeNet)
assert_type(sn.build("convnet3"), sn.ConvNet3)


def build_any(name: str, variant: Literal["modern", "1998"], options: dict[str, Any]) -> None:
    assert_type(sn.build(name), sn.Net)
    assert_type(sn.build(name, **options), sn.Net)
    assert_type(sn.lenet5(variant=variant), sn.LeNet | sn.LeNet1998)
    assert_type(sn.resnet50(**options), sn.ResNet)
    assert_type(sn.vgg16(**options), sn.VGG)


assert_type(sn.list_models("vgg*"), list[str])
assert_type(sn.resnet18().reset_classifier(2), sn.ResNet)
