"""The zoo: one paper, one file. Importing the package fills the registry."""

from . import alexnet, convnet, lenet, resnet_cifar, resnet_imagenet, resnet_layer4, vgg

__all__ = ["alexnet", "convnet", "lenet", "resnet_cifar", "resnet_imagenet", "resnet_layer4", "vgg"]
