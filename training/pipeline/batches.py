"""Training batches of a data set of either kind."""

from ..data.examples import ClassificationData
from .classification import classification_batches
from .detection import training_batches


def batches(data, *args, **options):
    """Return `training_batches` or `classification_batches`, whichever the data is for."""
    make = classification_batches if isinstance(data, ClassificationData) else training_batches
    return make(data, *args, **options)
