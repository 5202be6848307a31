"""Build networks of timm (pytorch-image-models) by timm's own names."""

import os

import keras

from .backbones import cs3, cs3_gated, cspnext, timm_layout
from .names import find
from .registry import get_model
from .weights.timm import classifier_shape, load_timm_file

FAMILIES = {  # each with timm's modules of its layers
    cs3: cs3.MODULES,
    cs3_gated: cs3.MODULES,
    cspnext: cspnext.MODULES,
    timm_layout: timm_layout.MODULES,
}


def from_timm(
    name: str,
    path: os.PathLike[str] | str,
    classifier_activation: str | None = "softmax",
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """Build a network of timm's and load its weights, with as many classes as the file's classifier has.

    Args:
        name: timm's, such as "cspresnet50" or "cspresnet50.ra_in1k".
        path: the .safetensors file.
        classifier_activation: "softmax", or None for logits.
        input_shape: (height, width, channels); height and width None or multiples of 32.

    Returns:
        A functional `keras.Model` of images (N, height, width, 3) as `preprocess_input(x, layout="timm")` gives them;
        of those of cs3darknet_focus_s as `preprocess_input(x, name="CS3DarknetFocusS")` does.

    Raises:
        ImportError: without safetensors.
        OSError: if the file can't be read.
        ValueError: for an unknown name, with the nearest known ones, and for a file that doesn't fit, naming where.

    Example:
        >>> import cspkeras
        >>> model = cspkeras.from_timm("cspresnet50", "cspresnet50.safetensors")  # doctest: +SKIP
    """
    known = {
        timm: (variant, family)
        for family in FAMILIES
        for variant, spec in family.VARIANTS.items()
        for timm in (spec.timm.partition(".")[0], spec.timm)
    }
    variant, family = find(name, known, "one of timm's names")
    classes, _ = classifier_shape(path)
    layout = {"layout": "timm"} if family is timm_layout else {}  # the others have no other
    options = dict(classes=classes, classifier_activation=classifier_activation, input_shape=input_shape)
    model = get_model(variant, **layout, **options)
    load_timm_file(path, model, FAMILIES[family])
    return model
