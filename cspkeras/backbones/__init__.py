"""The paper's backbones: each CSP network and its base."""

from . import cspnext, darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet
from .cspnext import *
from .darknet import *
from .darknet_tiny import *
from .densenet import *
from .densenet_elastic import *
from .imagenet import decode_predictions, preprocess_input
from .mobilenet import *
from .peleenet import *
from .pyramid import pyramid
from .resnet import *

FAMILIES = cspnext, darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet
__all__ = ["decode_predictions", "preprocess_input", "pyramid"]
__all__ += cspnext.__all__
__all__ += darknet.__all__
__all__ += darknet_tiny.__all__
__all__ += densenet.__all__
__all__ += densenet_elastic.__all__
__all__ += mobilenet.__all__
__all__ += peleenet.__all__
__all__ += resnet.__all__
