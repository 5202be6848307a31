"""What every backbone shares: its published figures, its input, its top and its documentation."""

from dataclasses import dataclass
from numbers import Integral

import keras
from keras import layers

from ..limits import CLASSES
from ..published import Published
from ..published import documented as documented_with
from .loading import TIMM_WEIGHTS, WEIGHTS, load_weights

STRIDE = 32  # of every backbone's last stage

ARGUMENTS = {
    "include_top": "whether to end in global average pooling and the classifier.",
    "weights": f"None, or {WEIGHTS}.",
    "input_tensor": "KerasTensor to build on, RGB in 0..1.",
    "input_shape": "(height, width, channels); height and width None or multiples of {stride}.",
    "pooling": 'without the top: None for the last feature map, "avg" or "max".',
    "classes": "classes of the classifier.",
    "classifier_activation": '"softmax", or None for logits.',
    "activation": "one of `cspkeras.blocks.ACTIVATIONS`.",
    "fusion": '"csp", "fusion_first" or "fusion_last" (the paper\'s figure 3).',
    "gamma": "the share of each stage's channels that bypasses its blocks, 0 < gamma < 1.",
    "se": "whether squeeze-and-excitation gates what each dense layer adds.",
    "layout": '"darknet", or "timm" for the network as timm has it, which allows no other fusion or gamma and takes '
    'inputs of `preprocess_input(x, layout="timm")`; None: inferred from `weights`, "darknet" if they do not say '
    "(Keras files do not).",
    "skip_mismatch": "whether the weights may have another classifier; the model's own stays as initialized then.",
    "name": "the model's name.",
}


EXAMPLE = """\
>>> model = cspkeras.{name}(input_shape=(64, 64, 3), classes=3)
>>> model.output_shape
(None, 3)"""


TIMM_ARGUMENTS = ARGUMENTS | {  # of a network that is in timm's layout alone
    "weights": f"None, or {TIMM_WEIGHTS}.",
    "input_tensor": 'KerasTensor to build on, RGB as `preprocess_input(x, name="{name}")` gives it.',
}


def documented(variants, arguments=ARGUMENTS):
    """Return the decorator that completes the docstring of a backbone's constructor."""
    return documented_with(variants, arguments, "A functional `keras.Model`.", EXAMPLE)


@dataclass(frozen=True)
class Preparation:
    """How images are prepared for published weights: RGB in 0..1 becomes (pixel - mean) / deviation."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of ImageNet
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    crop: float = 0.875  # the side of the input, from the middle, as a share of the resized image's shorter side
    test_size: int | None = None  # side of the input for the published accuracy in pixels; None: of the row's `size`
    test_crop: float | None = None  # the share at that size; None: `crop`

    def __str__(self) -> str:
        share = self.test_crop or self.crop
        return (
            f"Its published weights take RGB in 0..1 of mean {self.mean} and deviation {self.deviation}, resized by "
            f"{self.interpolation} interpolation, of which "
            f"{'all' if share == 1 else f'the middle {share:g}'} is the input."
        )


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the rows of all families have in common."""

    published: Published | None = None
    preparation: Preparation | None = None  # of images for the published weights; None: RGB in 0..1

    @property
    def stride(self) -> int:
        """The input's height and width must be multiples of this."""
        return STRIDE


def image_input(input_shape, input_tensor, stride=STRIDE):
    """Return a backbone's input: RGB in 0..1, channels last, its height and width None or multiples of `stride`."""
    if input_tensor is not None:
        input_shape = input_tensor.shape[1:]
    fits = isinstance(input_shape, (tuple, list)) and len(input_shape) == 3 and input_shape[2] is not None
    if not fits or not all(s is None or (s >= stride and s % stride == 0) for s in input_shape[:2]):
        raise ValueError(
            "input_shape must be (height, width, channels) with height and width None or multiples of "
            f"{stride}. Received: input_shape={input_shape}"
        )
    return layers.Input(tuple(input_shape), name="image") if input_tensor is None else input_tensor


def assemble(
    features,
    *,
    include_top=True,
    weights=None,
    input_tensor=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    stride=STRIDE,
    layout=None,
    preparation=None,
    modules=None,
    torch=None,
    skip_mismatch=False,
    name=None,
):
    """Assemble a backbone from its input, its features and its top.

    `features` is a function of the image to the last feature map; the input's height and width must be multiples of
    `stride`. The model keeps two attributes: the `layout`, None where the network has only one, and the `preparation`
    of images, None for RGB in 0..1. `modules` are timm's names of the layers, for a network in its layout; `torch`
    reads a network's own files of PyTorch's, see `load_weights`; with `skip_mismatch` the weights may have another
    classifier. All other arguments are as in keras.applications.
    """
    if include_top and (not isinstance(classes, Integral) or classes < 1):
        raise ValueError(f"classes must be a positive integer. Received: classes={classes!r}")
    if include_top:
        CLASSES.check(classes, "classes")
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"pooling must be None, 'avg' or 'max'. Received: pooling={pooling!r}")
    image = image_input(input_shape, input_tensor, stride)
    x = features(image)
    if include_top or pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="top_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="top_pool")(x)
    if include_top:
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    model = keras.Model(keras.utils.get_source_inputs(image)[0], x, name=name)
    model.layout, model.preparation = layout, preparation
    if weights is not None:
        how = dict(include_top=include_top, skip_mismatch=skip_mismatch)
        load_weights(model, weights, modules=modules, torch=torch, **how)
    return model
