"""The settings and labels that a .tflite file of ours carries, see `metadata`: what is done before and after it."""

from collections.abc import Sequence

import keras

from ...classification.imagenet import LAYOUTS
from ...classification.pixels import UNIT, Pixels, pixels_of
from ...classification.scores import LOGITS, SIGMOID, score_kind
from ...detection.anchors import Anchors
from ...detection.images import FILL
from ...graph import is_detector

DECODES = "file", "host"
COLORS = {1: "gray", 3: "RGB"}  # by the input's channels


def file_settings(
    model: keras.Model,
    precision: str,
    labels: Sequence[str] | None,
    layout: str | None,
    mean: float | Sequence[float] | None = None,
    scale: float | Sequence[float] | None = None,
    scores: str | None = None,
    decode: str = "file",
) -> dict | None:
    """Return the settings of a detector's or a labelled classifier's file.

    Args:
        model: the model, with a fixed input size.
        precision: of the file.
        labels: the class names of a classifier, one for each of its scores.
        layout: of a classifier, as in `preprocess_input`; None: the model's own.
        mean: of a classifier, as scale: its input is (pixel - mean) * scale; see `pixels_of`.
        scale: see mean.
        scores: of a classifier: "softmax", "sigmoid" or "logits"; None: as its graph shows, see `score_kind`.
        decode: of a detector: whether the "file" or its reader, the "host", makes boxes of the raw predictions.

    Returns:
        What JSON can hold; None for a model that is neither a detector nor has labels.

    Raises:
        ValueError: for a value that is unknown, or is none for such a model.

    Example:
        >>> import cspkeras
        >>> from cspkeras.tflite.export.settings import file_settings
        >>> model = cspkeras.CSPPeleeNet(input_shape=(64, 64, 3), classes=2)
        >>> file_settings(model, "int8", ["cat", "dog"], None)["scores"]
        'softmax'
    """
    for name, value, known in (("layout", layout, (None, *LAYOUTS)), ("decode", decode, DECODES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(filter(None, known))}. Received: {name}={value!r}")
    about = {"model": model.name, "precision": precision}
    of_classifiers = {"mean": mean, "scale": scale, "scores": scores}
    given = [f"{name}={value!r}" for name, value in of_classifiers.items() if value is not None]
    if is_detector(model):
        if given:
            raise ValueError(f"a detector takes pixels in 0..1 and has scores of its own. Received: {', '.join(given)}")
        how = _image(model, UNIT) | {"resize": "letterbox", "fill": FILL}
        boxes = {"boxes": "cyxhw"} if decode == "file" else {"boxes": "raw", "decode": decoding_of(model.anchors)}
        return {"task": "detection", **about, "input": how, **boxes, "score_threshold": 0.25, "iou_threshold": 0.5}
    if decode != "file":
        raise ValueError(f'decode="host" is for detectors, whose boxes are decoded. Received: {model.name}; leave it')
    if labels is None:
        if given:
            raise ValueError(f"only a classifier's file, which has labels, says that. Received: {', '.join(given)}")
        return None
    _check_classifier(model, labels)
    pixels = pixels_of(model, mean, scale, layout)
    about |= {"scores": _scores(model, scores)}
    about |= {"score_threshold": 0.5 if about["scores"] == SIGMOID else 0.0}
    return {"task": "classification", **about, "input": _image(model, pixels) | {"resize": "crop", "fill": 0}}


def file_labels(model: keras.Model, labels: Sequence[str] | None) -> Sequence[str] | None:
    """Return the labels of a model's file: of two for a single score only the second, whose score it is.

    Example:
        >>> import keras
        >>> from cspkeras.tflite.export.settings import file_labels
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")])
        >>> file_labels(model, ["cat", "dog"])
        ['dog']
    """
    single = [tuple(x.shape[1:]) for x in model.outputs] == [(1,)]
    return labels[1:] if labels is not None and len(labels) == 2 and single else labels


def _check_classifier(model, labels):
    taken, given = ([tuple(x.shape) for x in tensors] for tensors in (model.inputs, model.outputs))
    if len(given) != 1 or not given[0] or given[0][1:] != (len(labels),):
        raise ValueError(f"labels name the classes of a classifier. Received: {len(labels)} labels, outputs {given}")
    if len(taken) != 1 or len(taken[0]) != 4 or taken[0][-1] not in COLORS:
        raise ValueError(
            "labels name the classes of images, (1, height, width, 3) or (1, height, width, 1). Received: inputs "
            f"{taken}; leave labels out"
        )


def _scores(model, scores):
    found = score_kind(model, scores)
    if found == LOGITS and model.outputs[0].shape[-1] == 1:
        raise ValueError(
            f"{model.name}: one score that is a logit says nothing alone; end the model in "
            'keras.layers.Activation("sigmoid")'
        )
    return found


def _image(model, pixels: Pixels):
    """Return the part on the input that all tasks have in common."""
    height, width, channels = model.inputs[0].shape[1:]
    return {"height": height, "width": width, "colors": COLORS[channels], **pixels._asdict()}


def decoding_of(anchors: Anchors) -> dict:
    """Return the setting "decode" of a file whose boxes are raw, see `metadata`.

    Example:
        >>> from cspkeras.detection.anchors import Anchors
        >>> from cspkeras.tflite.export.settings import decoding_of
        >>> decoding_of(Anchors.free((64, 64), strides=(32,)))
        {'coding': 'free', 'levels': [{'stride': 32, 'scale_xy': 1.0, 'anchors': [[32.0, 32.0]]}]}
    """
    levels = [
        {"stride": stride, "scale_xy": scale_xy, "anchors": [list(pair) for pair in pairs]}
        for stride, scale_xy, pairs in zip(anchors.strides, anchors.scale_xy, anchors.boxes, strict=True)
    ]
    return {"coding": anchors.coding, "levels": levels}
