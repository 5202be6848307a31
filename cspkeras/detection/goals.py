"""What a detector is compiled for: a loss and metrics, of its target and its raw heads."""

import inspect
import warnings

import keras

from .losses import LOSSES, default_loss

LOSS = "a function of (target, raw heads) to a scalar, such as {}(detector.anchors, {}), or None for that"
METRICS = "a list of keras.metrics.Metric objects or functions, of (target, raw heads)"


class Goals:
    """A detector's loss and metrics; in an object of its own, in which Keras does not track them for ever.

    Args:
        anchors: the detector's `Anchors`.
        classes: its number of classes.
        loss, metrics, weighted_metrics: as in `DetectorTraining.compile`.

    Raises:
        ValueError: for a loss or metrics of another kind, for one of `losses` that does not suit the anchors, and for
            metrics of one name.
    """

    def __init__(self, anchors, classes, loss=None, metrics=None, weighted_metrics=None):
        default = default_loss(anchors, classes)
        own = loss is None or (callable(loss) and not isinstance(loss, type) and not _of_keras(loss))
        if not own:
            expected = LOSS.format(type(default).__name__, classes)
            raise ValueError(f"loss must be {expected}. Received: {_called(loss)}")
        if isinstance(loss, LOSSES) and not loss.suits(anchors):
            wanted = f"{type(default).__name__} for anchors of the coding {anchors.coding!r}"
            raise ValueError(f"loss must be {wanted}. Received: {_called(loss)}")
        self.given = dict(loss=loss, metrics=metrics, weighted_metrics=weighted_metrics)
        self.loss = loss or default
        self.plain, self.weighted = _metrics("metrics", metrics), _metrics("weighted_metrics", weighted_metrics)
        names = ["loss", *(metric.name for metric in self.metrics)]
        if len(set(names)) < len(names):
            raise ValueError(f"metrics must have names of their own, none 'loss'. Received: {', '.join(names[1:])}")

    @property
    def metrics(self):
        """All metrics."""
        return [*self.plain, *self.weighted]

    def loss_of(self, target, heads, sample_weight):
        """Return the loss; raise a ValueError where there are weights that it does not take."""
        if sample_weight is None:
            return self.loss(target, heads)
        taken = inspect.signature(self.loss).parameters
        if "sample_weight" not in taken and not any(taken[name].kind is taken[name].VAR_KEYWORD for name in taken):
            raise ValueError(f"the loss {_called(self.loss)} takes no weights; give it an argument sample_weight")
        return self.loss(target, heads, sample_weight=sample_weight)

    def update(self, target, heads, sample_weight):
        """Update the metrics; a ValueError names one that can't."""
        for metrics, weights in ((self.plain, {}), (self.weighted, {"sample_weight": sample_weight})):
            for metric in metrics:
                try:
                    metric.update_state(target, heads, **weights)
                except Exception as error:  # whatever a metric of another kind raises
                    reason = " ".join(str(error).split())
                    raise ValueError(f"metric {metric.name!r} does not take (target, raw heads): {reason}") from error

    def get_config(self):
        """Return `compile`'s arguments for a file; a warning names those that could not be found again."""
        config = {name: [x for x in self.given[name] or () if _lasts(x)] for name in ("metrics", "weighted_metrics")}
        config["loss"] = self.given["loss"] if _lasts(self.given["loss"]) else None
        return {name: keras.saving.serialize_keras_object(value) for name, value in config.items()}


def _metrics(argument, metrics):
    """Return metrics as a list of `keras.metrics.Metric` objects."""
    if not isinstance(metrics, (list, tuple, type(None))):
        raise ValueError(f"{argument} must be {METRICS}. Received: {_called(metrics)}")
    found = []
    for metric in metrics or ():
        if inspect.isfunction(metric) and not _of_keras(metric):
            metric = keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)
        if not isinstance(metric, keras.metrics.Metric):
            raise ValueError(f"{argument} must be {METRICS}. Received: {_called(metric)}")
        found.append(metric)
    return found


def _lasts(value):
    """Whether Keras can find a loss or a metric again that it reads from a file; if not, warn."""
    name = getattr(value, "__qualname__", "<")  # "<lambda>", "f.<locals>.g"
    lasts = value is None or hasattr(value, "get_config") or "<" not in name
    if not lasts:
        warnings.warn(f"{_called(value)} is not saved with the detector: it has no get_config", stacklevel=2)
    return lasts


def _of_keras(value):
    module = value.__module__ if hasattr(value, "__qualname__") else type(value).__module__
    return module.split(".")[0] == "keras"


def _called(value):
    """Return how an error speaks of what a user gave."""
    if isinstance(value, (str, dict, list, tuple, int, float)):
        return repr(value)
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{'the class ' if isinstance(value, type) else ''}{kind.__module__}.{kind.__qualname__}"
