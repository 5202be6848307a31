"""The Detector: a backbone, a neck and YOLO heads as one functional `keras.Model`."""

import functools
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import keras

from ..backbones.pyramid import pyramid
from ..graph import operation_of
from ..limits import CLASSES, NAME
from .anchors import Anchors
from .heads import HEADS, remember, remembered
from .necks import NECKS
from .training import DetectorTraining


def clonable(init):
    """Let a detector's constructor take (inputs, outputs, name) too, as `keras.models.clone_model` calls it.

    Keras 3.15 and later see that it takes anything and so make a detector of a detector; earlier ones make a plain
    functional model.
    """

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        graph = bool(args) and isinstance(args[0], keras.KerasTensor)
        (self._of_graph if graph else functools.partial(init, self))(*args, **kwargs)

    return __init__


@keras.saving.register_keras_serializable("cspkeras")
class Detector(DetectorTraining, keras.Model):
    """A one-stage detector, whose outputs are the raw head maps (N, H, W, anchors * (5 + classes)), finest first.

    Where the anchors' coding has no objectness, they are (N, H, W, anchors * (4 + classes)).

    It trains on batches of (images (N, H, W, 3) RGB in 0..1, {"boxes": (N, M, 4), "labels": (N, M)}), boxes as x1, y1,
    x2, y2 in parts of the input, labels below 0 for padding; or ragged ones, which `fit` pads. A third part, or
    `sample_weight`, are weights (N,) of the images: one of weight 2 counts as two, one of weight 0 as none. What does
    not fit is an error before it is trained on.

    Args:
        backbone: a model of this library with a fixed input shape; its top, if it has one, is dropped.
        neck: one of `necks.NECKS`; each level that it returns gets a head.
        classes: number of classes, or a sequence of their names.
        anchors: None for the published ones, pairs of (width, height) in pixels of the input, or `Anchors`.
        neck_options: keyword arguments of the neck.
        head: one of `heads.HEADS`.
        head_options: keyword arguments of the head.
        activation: the activation of the neck, one of `cspkeras.blocks.ACTIVATIONS`.
        name: the model's name.

    Raises:
        ValueError: for an unknown neck or head, no classes, a backbone without a fixed input size, and anchors of
            another size, other levels or a coding that is not the head's.

    Example:
        >>> import cspkeras
        >>> import numpy as np
        >>> backbone = cspkeras.CSPDarknet53Tiny(include_top=False, input_shape=(64, 64, 3))
        >>> detector = cspkeras.Detector(backbone, "fpn_tiny", classes=["cat", "dog"])
        >>> found = detector.detect([np.zeros((48, 64, 3), "uint8")])  # untrained, so it finds nothing
        >>> found[0]["boxes"].shape, found[0]["labels"].shape
        ((0, 4), (0,))
    """

    _origin: Mapping[str, str] | None = None

    @clonable
    def __init__(
        self,
        backbone: keras.Model,
        neck: str = "efm",
        classes: int | Collection[str] = 80,
        *,
        anchors: Anchors | Sequence[Sequence[float]] | None = None,
        neck_options: Mapping[str, Any] | None = None,
        head: str = "yolo",
        head_options: Mapping[str, Any] | None = None,
        activation: str = "leaky_relu",
        name: str | None = None,
    ):
        for argument, value, known in (("neck", neck, NECKS), ("head", head, HEADS)):
            if value not in known:
                raise ValueError(f"{argument} must be one of {', '.join(known)}. Received: {argument}={value!r}")
        names = range(classes) if isinstance(classes, Integral) else classes
        if isinstance(names, str) or not isinstance(names, Collection) or not len(names):
            raise ValueError(f"classes must be a positive number or a sequence of names. Received: classes={classes!r}")
        CLASSES.check(len(names), "classes")
        class_names = tuple(map(str, names))
        NAME.check(max(map(len, class_names)), "classes: one")
        size = backbone.input_shape[1:3]
        if None in size:
            raise ValueError(f"a detector's backbone needs a fixed input size. Received: {backbone.input_shape}")
        neck_options, head_options = dict(neck_options or {}), dict(head_options or {})
        levels = pyramid(backbone)
        features = NECKS[neck](levels, activation=activation, **neck_options)
        strides = [2 ** int(level[1:]) for level in features]
        if anchors is None:
            anchors = Anchors.published(size, strides)
        elif not isinstance(anchors, Anchors):
            anchors = Anchors.of(anchors, size, strides)
        if anchors.size != size:
            raise ValueError(
                f"anchors must be of the backbone's input size {size}. Received: anchors of {anchors.size}"
            )
        if anchors.levels != tuple(features):
            raise ValueError(
                f"anchors must be of {neck}'s levels {', '.join(features)}. Received: anchors of "
                f"{', '.join(anchors.levels)}"
            )
        heads = HEADS[head](features, list(map(len, anchors.boxes)), len(class_names), **head_options)
        depth = 4 + anchors.objectness + len(class_names)
        if any(raw.shape[-1] != len(boxes) * depth for raw, boxes in zip(heads, anchors.boxes, strict=True)):
            wanted = "with an objectness" if anchors.objectness else "without an objectness"
            channels = ", ".join(str(raw.shape[-1]) for raw in heads)
            raise ValueError(
                f"anchors of the coding {anchors.coding!r} need a head {wanted}, {depth} channels an anchor. "
                f"Received: head={head!r}, {channels} channels"
            )
        super().__init__(inputs=backbone.input, outputs=heads, name=name or f"{backbone.name}_{neck}")
        options = {
            "neck": neck,
            "neck_options": neck_options,
            "head": head,
            "head_options": head_options,
            "activation": activation,
        }
        # By name: a sub-model as an attribute would save every weight a second time.
        names = backbone.name, operation_of([*levels.values()][-1]).name
        self._set(class_names, anchors, options, names)
        remember(heads, {**self._about(), "backbone": names})

    def _of_graph(self, inputs, outputs, name=None):
        """Construct what is left of a detector that is cloned: its graph and what the heads remember."""
        about = remembered(outputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._origin = about.pop("origin", None)
        classes, anchors, backbone = (about.pop(key) for key in ("classes", "anchors", "backbone"))
        self._set(classes, Anchors.from_config(anchors), about, backbone)

    def _set(self, class_names, anchors, options, backbone):
        self.class_names, self.anchors = tuple(class_names), anchors
        self._options, self._backbone = options, tuple(backbone)

    def _about(self):
        about = {"classes": list(self.class_names), "anchors": self.anchors.get_config(), **self._options}
        return about | ({"origin": dict(self.origin)} if self.origin else {})

    @property
    def origin(self) -> Mapping[str, str] | None:
        """Where the weights are from; saved with the detector, since what is trained further keeps their licence."""
        return self._origin

    @origin.setter
    def origin(self, value: Mapping[str, str] | None):
        self._origin = value
        remember(self.outputs, {**self._about(), "backbone": self._backbone})

    @property
    def backbone(self) -> keras.Model:
        """The backbone as a separate model, which shares the detector's weights."""
        name, last = self._backbone
        return keras.Model(self.input, self.get_layer(last).output, name=name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, for `from_config`."""
        backbone = keras.saving.serialize_keras_object(self.backbone)
        return {"backbone": backbone, "name": self.name, **self._about()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Rebuild a detector, with fresh weights, from `get_config`'s dict."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        config = {**config, "backbone": backbone, "anchors": Anchors.from_config(config["anchors"])}
        origin = config.pop("origin", None)
        made = cls(**config)
        made.origin = origin
        return made
