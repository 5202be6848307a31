"""The Detector: a backbone, a neck and YOLO heads as one functional `keras.Model`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import keras
import numpy as np

from ..backbones.pyramid import pyramid
from ..graph import operation_of
from .anchors import Anchors
from .boxes import corners, decode_boxes, decode_scores, flatten_heads
from .heads import HEADS
from .images import check_image, letterbox, to_image
from .losses import default_loss
from .necks import NECKS
from .suppression import suppress


@keras.saving.register_keras_serializable("cspkeras")
class Detector(keras.Model):
    """A one-stage detector, whose outputs are the raw head maps (N, H, W, anchors * (5 + classes)), finest first.

    It trains on batches of (images (N, H, W, 3) RGB in 0..1, {"boxes": (N, M, 4), "labels": (N, M)}), boxes as x1, y1,
    x2, y2 in parts of the input, labels below 0 for padding.

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
            another size or other levels.

    Example:
        >>> import cspkeras
        >>> import numpy as np
        >>> backbone = cspkeras.CSPDarknet53Tiny(include_top=False, input_shape=(64, 64, 3))
        >>> detector = cspkeras.Detector(backbone, "fpn_tiny", classes=["cat", "dog"])
        >>> found = detector.detect([np.zeros((48, 64, 3), "uint8")])  # untrained, so it finds nothing
        >>> found[0]["boxes"].shape, found[0]["labels"].shape
        ((0, 4), (0,))
    """

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
        class_names = tuple(map(str, names))
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
        heads = [
            HEADS[head](features[level], len(boxes), len(class_names), name=f"head_{level.lower()}", **head_options)
            for level, boxes in zip(anchors.levels, anchors.boxes, strict=True)
        ]
        super().__init__(inputs=backbone.input, outputs=heads, name=name or f"{backbone.name}_{neck}")
        self.class_names, self.anchors = class_names, anchors
        self._options = {
            "neck": neck,
            "neck_options": neck_options,
            "head": head,
            "head_options": head_options,
            "activation": activation,
        }
        # By name: a sub-model as an attribute would save every weight a second time.
        self._backbone = (backbone.name, operation_of(levels["P5"]).name)

    @property
    def backbone(self) -> keras.Model:
        """The backbone as a separate model, which shares the detector's weights."""
        name, last = self._backbone
        return keras.Model(self.input, self.get_layer(last).output, name=name)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: Callable[[Mapping[str, Any], list], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the detector for training.

        Args:
            optimizer: as in `keras.Model.compile`.
            loss: function of the target and the raw heads to a scalar; None for the loss that suits the anchors, with
                its default options.
            **kwargs: other arguments of `keras.Model.compile`.

        Example:
            >>> import cspkeras
            >>> detector = cspkeras.YOLOv4Tiny(classes=3, input_shape=(64, 64, 3))
            >>> detector.compile("sgd")
        """
        super().compile(optimizer=optimizer, **kwargs)
        self._yolo_loss = loss or default_loss(self.anchors, len(self.class_names))

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile a loaded detector as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of the raw heads `y_pred` against the target `y`, a scalar."""
        loss = sum(self.losses, self._yolo_loss(y, y_pred))
        strategy = getattr(self, "distribute_strategy", None)  # TensorFlow's, which sums the replicas' losses
        return loss / strategy.num_replicas_in_sync if strategy else loss

    def predict_on_batch(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the raw heads of a batch of images, RGB in 0..1."""
        heads = super().predict_on_batch(x)
        return [head[: len(x)] for head in heads]  # each of several replicas returns a whole batch

    def detect(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        score_threshold: float = 0.25,
        iou_threshold: float = 0.5,
        suppression: str = "greedy",
        class_agnostic: bool = False,
    ) -> list[dict[str, np.ndarray]]:
        """Find objects in images of any size.

        Args:
            images: sequence of (h, w, 3) uint8 RGB arrays, or one array (N, h, w, 3).
            score_threshold: 0..1; detections score more than this.
            iou_threshold: 0..1; of two boxes of a class that overlap by more than this only the better one is kept.
            suppression: "greedy", "diou" or "soft"; see `suppression.suppress`.
            class_agnostic: whether boxes of different classes suppress each other.

        Returns:
            For each image a dict: "boxes" (N, 4) float32 x1, y1, x2, y2 in the image's pixels, "labels" (N,) int32
            and "scores" (N,) float32, best first. Boxes are clipped to the image; those outside it are dropped.

        Raises:
            ValueError: for images that are not uint8 RGB arrays, and for an unknown suppression.

        Example:
            >>> import cspkeras
            >>> import numpy as np
            >>> from PIL import Image
            >>> detector = cspkeras.YOLOXNano(weights="bccd")  # doctest: +SKIP
            >>> image = np.asarray(Image.open("blood.jpg").convert("RGB"))  # doctest: +SKIP
            >>> found = detector.detect([image], score_threshold=0.4)[0]  # doctest: +SKIP
            >>> [detector.class_names[label] for label in found["labels"]]  # doctest: +SKIP
            ['RBC', 'RBC', 'WBC']
        """
        options = dict(suppression=suppression, class_agnostic=class_agnostic)
        return detect(self.predict_on_batch, self.anchors, images, score_threshold, iou_threshold, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, for `from_config`."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "classes": list(self.class_names),
            "anchors": self.anchors.get_config(),
            "name": self.name,
            **self._options,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Rebuild a detector, with fresh weights, from `get_config`'s dict."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        return cls(**{**config, "backbone": backbone, "anchors": Anchors.from_config(config["anchors"])})


def detect(
    predict,
    anchors,
    images,
    score_threshold=0.25,
    iou_threshold=0.5,
    batch_size=16,
    suppression="greedy",
    class_agnostic=False,
):
    """Detect as `Detector.detect` does, with any function from a batch of images in 0..1 to raw heads."""
    found = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        for image in batch:
            check_image(image)
        boxed, placements = zip(*(letterbox(image, anchors.size) for image in batch), strict=True)
        heads = predict(np.stack(boxed).astype("float32") / 255)
        classes = heads[0].shape[-1] // len(anchors.boxes[0]) - 5
        raw_boxes, raw_scores = flatten_heads(heads, classes)
        boxes = corners(decode_boxes(raw_boxes, anchors.grid()))
        scores, options = decode_scores(raw_scores), dict(method=suppression, class_agnostic=class_agnostic)
        out = suppress(boxes, scores, score_threshold, iou_threshold, **options)
        to_pixels = np.float32([*anchors.size[::-1]] * 2)
        for image, placement, box, label, score, kept in zip(
            batch, placements, *map(keras.ops.convert_to_numpy, out), strict=True
        ):
            box = to_image(box * to_pixels, placement, image.shape)
            kept = kept & (box[:, 2:] > box[:, :2]).all(axis=1)
            found.append({"boxes": box[kept], "labels": label[kept], "scores": score[kept]})
    return found
