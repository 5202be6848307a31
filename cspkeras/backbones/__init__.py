"""The backbones: the paper's CSP networks and their bases, timm's CS3 networks and CSPNeXt."""

from . import cs3, cs3_gated, cspnext, darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet
from .cs3 import *
from .cs3_gated import *
from .cspnext import *
from .darknet import *
from .darknet_tiny import *
from .densenet import *
from .densenet_elastic import *
from .mobilenet import *
from .peleenet import *
from .pyramid import pyramid
from .resnet import *

FAMILIES = cs3, cs3_gated, cspnext, darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet
__all__: list[str] = ["pyramid"]
__all__ += cs3.__all__
__all__ += cs3_gated.__all__
__all__ += cspnext.__all__
__all__ += darknet.__all__
__all__ += darknet_tiny.__all__
__all__ += densenet.__all__
__all__ += densenet_elastic.__all__
__all__ += mobilenet.__all__
__all__ += peleenet.__all__
__all__ += resnet.__all__
