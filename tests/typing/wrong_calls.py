"""Calls that a type checker refuses before the program runs.

Both checkers take a comment that silences nothing for an error of its own, so that each line here must be wrong, for
each of them, in the way that it says.
"""

from typing import Any

import smallnets as sn

# An unknown keyword, for every builder.
sn.lenet5(varient="wide")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
sn.convnet3(width=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.alexnet(channels=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.vgg(stem="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.vgg11(stem="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.vgg13(norm="group")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.vgg16(pretrained=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.vgg19(batchnorm=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet18(cfg="A")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet34(head="wide")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet50(stme="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet101(features_only=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet152(variant="D")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet20(stem="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet32(groups=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet44(dilate=(True, True, True))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet56(stride_in="1x1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet110(zero_init_residual=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet1202(depth=1202)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
sn.resnet50_layer4(stem="cifar")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# A word that is none of the choices, a letter of another depth.
sn.resnet50(stem="tiny")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.resnet20(shortcut="D")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.convnet3(norm="layer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.alexnet(variant="2014")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.lenet5(variant="1999")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
sn.vgg11("B")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg13("A")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg16("E")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg19("D")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg("F")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg16([64, "P"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
sn.vgg16(head="small")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# A value of another type, an option by its place, a net that it is not.
sn.resnet18("cifar")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.resnet18(10, 3, "cifar")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
sn.resnet20(num_classes=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg16(dropout="0.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.alexnet(hidden=4096)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sn.vgg16_bn()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

features: Any = sn.lenet5(variant="1998").features  # a Tensor or a Module to nn.Module.__getattr__, no layers
vgg: sn.VGG = sn.resnet50()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
old: sn.LeNet = sn.lenet5(variant="1998")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
