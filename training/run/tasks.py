"""What training a detector and training a classifier don't have in common."""

import keras
import numpy as np
from keras import ops

from ...detection.losses import default_loss
from ...graph import is_detector
from ...saving import gives_logits, is_classifier
from ...tflite.device.frames import draw
from ..data.examples import ClassificationData
from ..distribution.service import served
from ..distribution.workers import share
from ..evaluation.classification import answers_of, classify, load_answers
from ..evaluation.detection import evaluate, load_detect
from ..pipeline.batches import batches
from ..pipeline.classification import evaluation_batches
from ..pipeline.detection import images
from ..recipes.recipe import check_options

SHOWN = 4  # images of the validation data in a report
SIDE = 480  # pixels, at most, of an image there


def task_of(model, train, val, recipe, report=print, data_service=None):
    """The `Detection` or `Classification` that a model and its data are.

    Raises:
        ValueError: where model, data and the recipe's options don't go together.
    """
    kind = kind_of(model)
    for data in (train, val):
        kind.check_data(model.name, data)
    if tuple(train.class_names) != tuple(val.class_names):
        raise ValueError(f"train and val must have the same classes. Received: {train.class_names}, {val.class_names}")
    return kind(model, train, val, recipe, report, data_service)


def kind_of(model):
    """`Detection` or `Classification`."""
    return Detection if is_detector(model) else Classification


def check_classes(count, data):
    """Raise a ValueError where a model of so many classes and the data differ."""
    if count != len(data.class_names):
        raise ValueError(f"the model has {count} classes, the data has {len(data.class_names)}")


class Task:
    """A model, its data, and how it is trained and measured on them.

    Attributes:
        labels: what a .keras file of the model must be told of its classes, or None.
    """

    labels = None

    def __init__(self, model, train, val, recipe, report=print, data_service=None):
        self.model, self.train, self.val, self.recipe, self._known = model, train, val, recipe, set()
        self._report, self._service = report, data_service
        check_classes(self.classes(), train)

    @classmethod
    def check_data(cls, name, data):
        """Raise a ValueError for data of the other kind; `name` is the network's."""
        if isinstance(data, ClassificationData) != (cls is Classification):
            held = "objects in images" if cls is Classification else "images sorted by class"
            raise ValueError(f"{name} is a {cls.noun}, and the data has {held}")

    def batches(self, batch_size, start_step):
        """The training batches from a step of the run on; of several workers this one's part of each."""
        options = dict(seed=self.recipe.seed, start_step=start_step, augment=self.recipe.augment, share=share())
        if self._service:
            return served(self._service, self.size, batch_size, **options)
        return batches(self.train, self.size, batch_size, report=self.report, **options)

    def report(self, line):
        """Pass on a line, such as that an image is broken, once."""
        if line not in self._known:
            self._known.add(line)
            self._report(line)


class Detection(Task):
    """A `Detector`, or what `quantize_aware` makes of one."""

    noun, monitor = "detector", "val_mAP"

    def __init__(self, model, *args):
        super().__init__(model, *args)
        self.size = model.anchors.size

    @staticmethod
    def check(recipe):
        """Raise a ValueError for an option of the augmentation that is none."""
        from ..pipeline.detection_augmentation import Augmentation

        check_options("augment", recipe.augment, Augmentation)

    def classes(self):
        """Their number."""
        return len(self.model.class_names)

    def about(self):
        """What a run must have in common with the one it resumes."""
        return {"classes": self.model.class_names, "anchors": self.model.anchors.get_config()}

    def loss(self):
        """The loss with the recipe's options; a ValueError for one that it has not."""
        loss = type(default_loss(self.model.anchors, 1))
        check_options("loss", self.recipe.loss, loss)
        return loss(self.model.anchors, self.classes(), **self.recipe.loss)

    @staticmethod
    def images(model, data, limit, report=print):
        """Input batches of some of the images, (1, height, width, 3) float32 in 0..1, for calibration."""
        return images(data, model.anchors.size, limit, report)

    def measure(self, file=None):
        """COCO's figures on the validation data, of the model or of a .tflite file."""
        detect = load_detect(file)[0] if file else self.model.detect
        measured = evaluate(detect, self.val, report=self.report)
        return {f"val_{name}": measured[name] for name in ("mAP", "mAP50")}

    def report_images(self):
        """Validation images and what is found in them: (caption, uint8 RGB) pairs."""
        pairs = []
        for image in _images(self.val, self.report):
            found = self.model.detect([np.asarray(image)])[0]
            names = [self.val.class_names[label] for label in found["labels"]]
            draw(image, found, self.val.class_names)
            pairs.append((f"found: {', '.join(names) or 'nothing'}", np.asarray(image)))
        return pairs


class Classification(Task):
    """A model whose only output are probabilities (N, classes), by a softmax, or their logits."""

    noun, monitor = "classifier", "val_top1"

    def __init__(self, model, *args):
        if not is_classifier(model):
            shapes = f"{model.input_shape}, {model.output_shape}"
            raise ValueError(f"a classifier is of (N, height, width, 3) to (N, classes). Received: {shapes}")
        super().__init__(model, *args)
        self.size, self.labels = model.input_shape[1:3], self.train.class_names
        self.logits = gives_logits(model)

    @staticmethod
    def check(recipe):
        """Raise a ValueError for an option of the augmentation that is none, and for labels smoothed twice."""
        from ..pipeline.classification_augmentation import ClassificationAugmentation

        check_options("augment", recipe.augment, ClassificationAugmentation)
        loss, augment = (table.get("label_smoothing") for table in (recipe.loss, recipe.augment))
        if loss and augment:
            both = f"loss.label_smoothing={loss}, augment.label_smoothing={augment}"
            raise ValueError(f"labels can be smoothed in the loss or in the augmentation. Received: {both}")

    def classes(self):
        """Their number."""
        return self.model.output_shape[-1]

    def about(self):
        """What a run must have in common with the one it resumes."""
        return {"classes": self.train.class_names, "size": self.size}

    def loss(self):
        """The loss with the recipe's options; a ValueError for one that it has not."""
        check_options("loss", self.recipe.loss, cross_entropy)
        return cross_entropy(self.classes(), self.logits, **self.recipe.loss)

    @staticmethod
    def images(model, data, limit, report=print):
        """As `Detection.images`, spread over the data, which may be sorted by class."""
        chosen = data.examples[:: max(1, len(data.examples) // limit)][:limit]
        size = model.input_shape[1:3]
        some = ClassificationData(chosen, data.class_names)
        return (images.numpy() for images, _ in evaluation_batches(some, size, 1, report=report))

    def measure(self, file=None):
        """Top-1 and top-5 accuracy and the cross-entropy on the validation data, of the model or of a .tflite file."""
        answers = load_answers(file) if file else answers_of(self.model)
        figures = classify(answers, self.val, report=self.report).figures()
        return {f"val_{name}": value for name, value in figures.items()}

    def report_images(self):
        """Validation images and what they are taken for: (caption, uint8 RGB) pairs."""
        pairs, ask = [], answers_of(self.model).ask
        batch = next(iter(evaluation_batches(self.val, self.size, SHOWN, report=self.report)))
        for image, wanted in zip(*map(np.asarray, batch), strict=True):
            taken = self.val.class_names[int(np.argmax(ask(image[None])[0]))]
            caption = f"{self.val.class_names[int(np.argmax(wanted))]}, taken for {taken}"
            pairs.append((caption, np.rint(image * 255).astype("uint8")))
        return pairs


def cross_entropy(classes, logits, label_smoothing=0.0, class_weights=None):
    """A classifier's loss: a function of one-hot labels and answers (N, classes) to losses (N,).

    Args:
        classes: their number.
        logits: whether the answers are logits; otherwise probabilities.
        label_smoothing: 0 to 1; the part of each label that is spread over all classes.
        class_weights: one weight a class, or None for 1 each.

    Raises:
        ValueError: for weights that are not one a class, or a smoothing out of its range.
    """
    weights = np.ones(classes, "float32") if class_weights is None else np.float32(class_weights)
    if weights.shape != (classes,) or not (weights >= 0).all():
        raise ValueError(f"class_weights must be {classes} numbers of at least 0. Received: {class_weights}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in 0..1. Received: label_smoothing={label_smoothing}")

    def loss(wanted, answers):
        answers, options = ops.cast(answers, "float32"), dict(from_logits=logits, label_smoothing=label_smoothing)
        return keras.losses.categorical_crossentropy(wanted, answers, **options) * ops.sum(wanted * weights, axis=-1)

    return loss


def _images(data, report):
    from PIL import Image

    for example in data.examples[:SHOWN]:
        try:
            image = Image.fromarray(example.pixels())
        except OSError as e:
            report(f"skipped: {e}")
            continue
        image.thumbnail((SIDE, SIDE))
        yield image
