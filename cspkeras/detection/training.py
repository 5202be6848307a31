"""What a detector adds to `keras.Model` to be compiled, trained, measured and asked for objects."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from .anchors import Anchors
from .checks import check_shapes, readable
from .detection import detect
from .goals import Goals
from .inputs import checked
from .losses import loss_class


def checking(name):
    """Return `keras.Model`'s method of that name, its data checked first."""

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        inherited = getattr(super(DetectorTraining, self), name)
        call = inspect.signature(inherited).bind(*args, **kwargs)
        given, classes = call.arguments, len(self.class_names)
        if given.get("class_weight") is not None:
            own = loss_class(self.anchors)
            how = f"as compile(loss={own.__name__}(detector.anchors, {classes}, class_weights=[...]))"
            if "class_weights" not in inspect.signature(own).parameters:
                how = f"and {own.__name__}, the loss of this one, has none"
            raise ValueError(
                f"class_weight: a detector takes them in its loss, {how}. Received: {given['class_weight']}"
            )
        parts = "x", "y", "sample_weight"
        given |= zip(parts, checked(*map(given.get, parts), classes), strict=True)
        if (validation := given.get("validation_data")) is not None:
            validation = checked(*keras.utils.unpack_x_y_sample_weight(validation), classes)
            given["validation_data"] = keras.utils.pack_x_y_sample_weight(*validation)
        with readable():
            return inherited(*call.args, **call.kwargs)

    return method


Base: Any = object  # to a type checker it has all of what `keras.Model` has


class DetectorTraining(Base):
    """Training and detection of a model whose outputs are raw heads; a base class before `keras.Model`.

    `Detector` says what it trains on.

    Attributes:
        anchors: the model's `Anchors`.
        class_names: the names of its classes.
        origin: "source" and "license" of the published weights that it was built with; None without such.
    """

    anchors: Anchors
    class_names: tuple[str, ...]
    origin: Mapping[str, str] | None = None
    _goals: Any = None

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: Callable[..., Any] | None = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the detector for training.

        Args:
            optimizer: as in `keras.Model.compile`.
            loss: function of the target and the raw heads to a scalar; None for the loss that suits the anchors, with
                its default options. With images' weights it is given them as its argument `sample_weight`.
            metrics: `keras.metrics.Metric` objects, whose `update_state` takes the target and the raw heads, or
                functions of these to a scalar, which are averaged over the batches.
            weighted_metrics: the same, but with the images' weights as `sample_weight`.
            **kwargs: other arguments of `keras.Model.compile`.

        Raises:
            ValueError: for a loss or a metric of another kind, such as those that Keras knows by name.

        Example:
            >>> import cspkeras
            >>> detector = cspkeras.YOLOv4Tiny(classes=3, input_shape=(64, 64, 3))
            >>> detector.compile("sgd")
        """
        classes = len(self.class_names)
        if kwargs.pop("loss_weights", None) is not None:
            raise ValueError(
                "loss_weights: a detector has one loss, which weighs its parts, as "
                f"loss={loss_class(self.anchors).__name__}(detector.anchors, {classes}, box_weight=2.0)"
            )
        goals = Goals(self.anchors, classes, loss, metrics, weighted_metrics)
        super().compile(optimizer=optimizer, **kwargs)
        self._goals = goals

    fit = checking("fit")
    evaluate = checking("evaluate")
    train_on_batch = checking("train_on_batch")
    test_on_batch = checking("test_on_batch")

    def get_compile_config(self) -> dict[str, Any]:
        """Return what `compile` was called with, for `compile_from_config`."""
        config = super().get_compile_config()
        return {**config, **self._goals.get_config()} if config else config

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile a loaded detector as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        """The loss' mean and the metrics given to `compile`."""
        return [*super().metrics, *(self._goals.metrics if self._goals else ())]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of the raw heads `y_pred` against the target `y`, a scalar."""
        sample_weight = _of_images(sample_weight)
        check_shapes(x, y, sample_weight)
        loss = sum(self.losses, self._goals.loss_of(y, y_pred, sample_weight))
        strategy = getattr(self, "distribute_strategy", None)  # TensorFlow's, which sums the replicas' losses
        return loss / strategy.num_replicas_in_sync if strategy else loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the metrics given to `compile` and return the results of all, by name."""
        self._goals.update(y, y_pred, _of_images(sample_weight))
        return self.get_metrics_result()

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
            images: sequence of (h, w, 3) RGB arrays, or one array (N, h, w, 3). Grey ones, (h, w) or (h, w, 1), and
                those with transparency, (h, w, 2) or (h, w, 4), are converted, transparent parts on white. Values are
                uint8, uint16, or floats in 0..1.
            score_threshold: 0..1; detections score more than this.
            iou_threshold: 0..1; of two boxes of a class that overlap by more than this only the better one is kept.
            suppression: "greedy", "diou" or "soft"; see `suppression.suppress`.
            class_agnostic: whether boxes of different classes suppress each other.

        Returns:
            For each image a dict: "boxes" (N, 4) float32 x1, y1, x2, y2 in the image's pixels, "labels" (N,) int32
            and "scores" (N,) float32, best first. Boxes are clipped to the image; those outside it are dropped.

        Raises:
            ValueError: for images of other shapes or values, and for an unknown suppression.

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


def _of_images(sample_weight):
    """Return the images' weights, of which Keras makes one for each part of the target."""
    return next(iter(sample_weight.values())) if isinstance(sample_weight, Mapping) else sample_weight
