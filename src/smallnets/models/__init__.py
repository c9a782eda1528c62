"""The zoo: one paper, one file. Importing the package fills the registry."""

from . import alexnet as alexnet
from . import convnet as convnet
from . import lenet as lenet
from . import resnet_cifar as resnet_cifar
from . import resnet_imagenet as resnet_imagenet
from . import resnet_layer4 as resnet_layer4
from . import vgg as vgg
