"""The paper's backbones, each CSP network beside its base."""

from .darknet import CSPDarknet53, CSPDarknet53Elastic, Darknet53
from .darknet_tiny import CSPDarknet53Tiny
from .densenet import CSPDenseNet201, DenseNet201
from .densenet_elastic import CSPDenseNet201Elastic, DenseNet201Elastic
from .graph import darknet_order, pyramid
from .mobilenet import CSPMobileNetV2, MobileNetV2
from .peleenet import CSPPeleeNet, PeleeNet
from .registry import decode_predictions, get_model, list_models, preprocess_input
from .resnet import (
    CSPResNet50,
    CSPResNet50Elastic,
    CSPResNeXt50,
    CSPResNeXt50Elastic,
    ResNet10,
    ResNet50,
    ResNeXt50,
)

__all__ = [
    "CSPDarknet53",
    "CSPDarknet53Elastic",
    "CSPDarknet53Tiny",
    "CSPDenseNet201",
    "CSPDenseNet201Elastic",
    "CSPMobileNetV2",
    "CSPPeleeNet",
    "CSPResNeXt50",
    "CSPResNeXt50Elastic",
    "CSPResNet50",
    "CSPResNet50Elastic",
    "Darknet53",
    "DenseNet201",
    "DenseNet201Elastic",
    "MobileNetV2",
    "PeleeNet",
    "ResNeXt50",
    "ResNet10",
    "ResNet50",
    "darknet_order",
    "decode_predictions",
    "get_model",
    "list_models",
    "preprocess_input",
    "pyramid",
]
