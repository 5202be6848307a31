"""Networks of timm (pytorch-image-models) by timm's own names."""

from ..registry import by_name, get_model
from ..weights.timm import PUBLISHED, classifier_shape, load_timm_file


def from_timm(name, path, classifier_activation="softmax", input_shape=(None, None, 3)):
    """Build a network of timm's and load its weights, with as many classes as the file's classifier has.

    Args:
        name: timm's, such as "cspresnet50" or "cspresnet50.ra_in1k".
        path: the .safetensors file.
        classifier_activation: "softmax", or None for logits.
        input_shape: (height, width, channels); height and width None or multiples of 32.

    Returns:
        A functional `keras.Model` of images (N, height, width, 3) as `preprocess_input(x, layout="timm")` gives them.

    Raises:
        ImportError: without safetensors.
        OSError: where the file can't be read.
        ValueError: for an unknown name, with the nearest known ones, and for a file that doesn't fit, naming where.
    """
    known = {timm.partition(".")[0]: variant for variant, timm in PUBLISHED.items()}
    known |= {timm: variant for variant, timm in PUBLISHED.items()}
    variant = by_name(name, known, "one of timm's")
    classes, _ = classifier_shape(path)
    model = get_model(
        variant,
        layout="timm",
        classes=classes,
        classifier_activation=classifier_activation,
        input_shape=input_shape,
    )
    load_timm_file(path, model)
    return model
