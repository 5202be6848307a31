"""Detection and classification tasks: their loss, batches and metrics."""

import json

import keras
import numpy as np
from keras import ops
from PIL import Image

from ...classification.pixels import UNIT, pixels_of
from ...classification.scores import LOGITS, SIGMOID, classes_of, in_two, score_kind
from ...detection.anchors import Anchors
from ...detection.losses import loss_class
from ...graph import is_detector
from ...reports.page import found_caption
from ...saving import is_classifier
from ...tflite.device.drawing import draw_detections
from ..data.examples import ClassificationData, LabelledImage, readable
from ..distribution.served_batches import served
from ..distribution.workers import share
from ..evaluation.classification import answers_of, classify, load_answers
from ..evaluation.detection import evaluate, load_detect
from ..pipeline.batches import batches
from ..pipeline.classification import evaluation_batches
from ..pipeline.detection import letterboxed
from ..pipeline.stream import steps_per_epoch
from ..recipes.recipe import check_options

REPORTED_IMAGES = 4  # of the validation data
MAX_SIDE = 480  # of a reported image, in pixels


def task_of(model, train, val, recipe, report=print, data_service=None, pixels=None, scores=None):
    """Return the task of training a model on its data: a `Detection` or a `Classification`.

    `data_service` is the `Service` that makes the training batches, or None. `pixels` and `scores` are
    the `Pixels` that a classifier takes and what its outputs are, see `score_kind`; None: as the model shows. A
    ValueError says where model, data and the recipe's options don't go together.
    """
    kind = kind_of(model)
    for data in (train, val):
        kind.check_data(model.name, data)
    if tuple(train.class_names) != tuple(val.class_names):
        raise ValueError(f"train and val must have the same classes. Received: {train.class_names}, {val.class_names}")
    return kind(model, train, val, recipe, report, data_service, pixels, scores)


def kind_of(model):
    """Return the class of a model's task: `Detection` or `Classification`."""
    return Detection if is_detector(model) else Classification


def check_classes(count, data):
    """Raise a ValueError where a model's number of classes and the data's differ."""
    if count != len(data.class_names):
        raise ValueError(f"the model has {count} classes, the data has {len(data.class_names)}")


class Task:
    """A model, its data, and how it is trained and measured on them; see `task_of` for the arguments.

    Attributes:
        labels: class names to store in a .keras file of the model; None where the model itself holds them.
    """

    labels = None

    def __init__(self, model, train, val, recipe, report=print, data_service=None, pixels=None, scores=None):
        self.model, self.train, self.val, self.recipe = model, train, val, recipe
        self.pixels = pixels or pixels_of(model)
        self._report, self._reported, self._data_service = report, set(), data_service
        check_classes(self.classes(), train)

    @classmethod
    def check_data(cls, name, data):
        """Raise a ValueError for data of the other kind; `name` is the network's."""
        if isinstance(data, ClassificationData) != (cls is Classification):
            content = "objects in images" if cls is Classification else "images sorted by class"
            raise ValueError(f"{name} is a {cls.noun}, and the data has {content}")

    def training_batches(self, batch_size, start_step):
        """Return the training batches from a step of the run on; among several workers this one's part of each.

        They are augmented as the step's epoch is.
        """
        augment = self.recipe.augment_of(start_step // steps_per_epoch(self.train.examples, batch_size))
        options = dict(seed=self.recipe.seed, start_step=start_step, augment=augment, share=share())
        if self._data_service:
            made = served(self._data_service, self.size, batch_size, **options)
        else:
            how = dict(workers=self.recipe.data_workers, report=self.report)
            made = batches(self.train, self.size, batch_size, **how, **options)
        channels = self.model.inputs[0].shape[-1]
        if (self.pixels, channels) == (UNIT, 3):
            return made
        return made.map(lambda images, targets: (self.pixels.of_unit(images, channels), targets))

    @staticmethod
    def upgraded(about):
        """Return an older version's `about` as this version writes it, in JSON's types."""
        return about

    def report(self, line):
        """Pass a line on, such as that an image is broken, the first time it comes."""
        if line not in self._reported:
            self._reported.add(line)
            self._report(line)


class Detection(Task):
    """A `Detector`, or what `quantize_aware` makes of one."""

    noun, monitor = "detector", "val_mAP"

    def __init__(self, model, *args):
        super().__init__(model, *args)
        self.size = model.anchors.size

    @staticmethod
    def check_recipe(recipe):
        """Raise a ValueError for an unknown option of the augmentation."""
        from ..pipeline.detection_augmentation import Augmentation

        _check_augmentation(recipe, Augmentation, (32, 32))

    def classes(self):
        """Return the number of classes."""
        return len(self.model.class_names)

    def about(self):
        """Return what a run must have in common with the one it resumes."""
        return {"classes": self.model.class_names, "anchors": self.model.anchors.get_config()}

    @staticmethod
    def upgraded(about):
        """Do as in `Task`: older anchors have no coding."""
        if "anchors" not in about:
            return about  # of a classifier
        return about | json.loads(json.dumps({"anchors": Anchors.from_config(about["anchors"]).get_config()}))

    def loss(self):
        """Return the loss with the recipe's options; raise a ValueError for an unknown one."""
        loss = loss_class(self.model.anchors)
        check_options("loss", self.recipe.loss, loss)
        return loss(self.model.anchors, self.classes(), **self.recipe.loss)

    @staticmethod
    def calibration_images(model, data, limit, report=print, pixels=UNIT):
        """Return up to `limit` of the data's images as input batches (1, height, width, 3), float32 in 0..1."""
        return letterboxed(data, model.anchors.size, limit, report)

    def measure(self, file=None):
        """Return COCO's figures on the validation data, of the model or of a .tflite file."""
        detect = load_detect(file)[0] if file else self.model.detect
        measured = evaluate(detect, self.val, report=self.report)
        return {f"val_{name}": measured[name] for name in ("mAP", "mAP50")}

    def report_images(self):
        """Return validation images with the model's detections: (caption, uint8 RGB) pairs."""
        pairs = []
        for _, pixels in readable(self.val.examples[:REPORTED_IMAGES], self.report):
            image = Image.fromarray(pixels)
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            found = self.model.detect([np.asarray(image)])[0]
            names = (self.val.class_names[label] for label in found["labels"])
            draw_detections(image, found, self.val.class_names)
            pairs.append((found_caption(names), np.asarray(image)))
        return pairs


class Classification(Task):
    """A model whose only output are scores (N, classes): probabilities, by a softmax or sigmoids, or logits.

    Its one score (N, 1), but for a softmax's, is that of the second of two classes.
    """

    noun, monitor = "classifier", "val_top1"

    def __init__(self, model, train, val, recipe, report=print, data_service=None, pixels=None, scores=None):
        if not is_classifier(model):
            shapes = f"{model.input_shape}, {model.output_shape}"
            raise ValueError(f"a classifier must map (N, height, width, 3) to (N, classes). Received: {shapes}")
        self.scores = score_kind(model, scores)
        super().__init__(model, train, val, recipe, report, data_service, pixels)
        self.size, self.labels = model.input_shape[1:3], train.class_names

    @staticmethod
    def check_recipe(recipe):
        """Raise a ValueError for an unknown option of the augmentation, and for labels smoothed twice."""
        from ..pipeline.classification_augmentation import ClassificationAugmentation

        _check_augmentation(recipe, ClassificationAugmentation, (32, 32), 1)
        loss, *both = (table.get("label_smoothing") for table in (recipe.loss, recipe.augment, recipe.last_augment))
        augment = next(filter(None, both), None)
        if loss and augment:
            both = f"loss.label_smoothing={loss}, augment.label_smoothing={augment}"
            raise ValueError(f"labels can be smoothed in the loss or in the augmentation. Received: {both}")

    def classes(self):
        """Return the number of classes."""
        return classes_of(self.model.output_shape[-1], self.scores)

    def about(self):
        """Return what a run must have in common with the one it resumes."""
        return {"classes": self.train.class_names, "size": self.size}

    def loss(self):
        """Return the loss with the recipe's options; raise a ValueError for an unknown one."""
        check_options("loss", self.recipe.loss, cross_entropy)
        return cross_entropy(self.classes(), self.scores, **self.recipe.loss)

    @staticmethod
    def calibration_images(model, data, limit, report=print, pixels=UNIT):
        """Return images as `Detection.calibration_images`, spread over the data, which may be sorted by class.

        They have the channels that the model takes, and `pixels` is their range.
        """
        *size, channels = model.inputs[0].shape[1:]
        return cropped_images(data, tuple(size), channels, limit, report, pixels)

    def measure(self, file=None):
        """Return top-1, top-5 and cross-entropy on the validation data, of the model or of a .tflite file."""
        answers = load_answers(file) if file else answers_of(self.model, self.pixels, self.scores)
        figures = classify(answers, self.val, report=self.report).figures()
        return {f"val_{name}": value for name, value in figures.items()}

    def report_images(self):
        """Return validation images and the classes predicted for them: (caption, uint8 RGB) pairs."""
        pairs, ask = [], answers_of(self.model, self.pixels, self.scores).ask
        batch = next(iter(evaluation_batches(self.val, self.size, REPORTED_IMAGES, report=self.report)))
        for image, one_hot in zip(*map(np.asarray, batch), strict=True):
            true, predicted = (self.val.class_names[int(np.argmax(x))] for x in (one_hot, ask(image[None])[0]))
            caption = f"{true}, taken for {predicted}"
            pairs.append((caption, np.rint(image * 255).astype("uint8")))
        return pairs


def _check_augmentation(recipe, kind, *args):
    """Raise a ValueError for options of the recipe's augmentation, first or last, that its class refuses."""
    for table in ("augment", "last_augment"):
        check_options(table, getattr(recipe, table), kind)
    for epoch in (0, recipe.epochs - 1):  # the last epochs' now, and not when they come
        kind(*args, **recipe.augment_of(epoch))


def cropped_images(data, size, channels, limit, report=print, pixels=UNIT):
    """Return up to `limit` images of data of either kind as input batches (1, height, width, channels), float32.

    They are spread over the data, which may be sorted by class, and cut as a classifier's are; `pixels` is their range.
    """
    examples = data.examples[:: max(1, len(data.examples) // limit)][:limit]
    chosen = ClassificationData([LabelledImage(example.image, 0) for example in examples], ("image",))
    found = evaluation_batches(chosen, size, 1, report=report)
    return (pixels.of_unit(images.numpy(), channels) for images, _ in found)


def cross_entropy(classes, kind, label_smoothing=0.0, class_weights=None):
    """Return a classifier's loss: a function of one-hot labels (N, classes) and scores to losses (N,).

    The scores are of a kind, see `score_kind`; of sigmoids each is an answer of its own, but that of (N, 1), which is
    the second of two classes'. `label_smoothing` is the share of each label that is spread over all classes, 0 to 1;
    `class_weights` has a weight for each class, or is None for 1 each.
    """
    weights = np.ones(classes, "float32") if class_weights is None else np.float32(class_weights)
    if weights.shape != (classes,) or not (weights >= 0).all():
        raise ValueError(f"class_weights must be {classes} numbers of at least 0. Received: {class_weights}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in 0..1. Received: label_smoothing={label_smoothing}")

    def loss(labels, scores):
        scores, shown = in_two(ops.cast(scores, "float32"), kind)
        several = shown == SIGMOID
        entropy = keras.losses.binary_crossentropy if several else keras.losses.categorical_crossentropy
        losses = entropy(labels, scores, from_logits=shown == LOGITS, label_smoothing=label_smoothing)
        return losses * ops.sum(labels * weights, axis=-1)

    return loss
