"""The training batches of any data set."""

from ..data.examples import ClassificationData
from .classification import classification_batches
from .detection import training_batches


def batches(data, *args, **options):
    """`training_batches` or `classification_batches`, whichever the data are for."""
    make = classification_batches if isinstance(data, ClassificationData) else training_batches
    return make(data, *args, **options)
