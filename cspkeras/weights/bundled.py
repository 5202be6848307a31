"""Weights that come with this package: a .npz file of half-precision arrays for each training."""

from .archives import open_npz


def load_bundled(model, path, skip_mismatch=False):
    """Load a file's arrays into the detector that they are of, of any input size.

    With `skip_mismatch` the detector may have another number of classes; its class predictions stay as they are.
    """
    with open_npz(path) as file:
        arrays = dict(file)
    variables = {variable.path: variable for variable in model.variables}
    if arrays.keys() != variables.keys():
        raise ValueError(f"{path}: holds the weights of another detector. Received: {model.name}")
    different = {path for path, array in arrays.items() if array.shape != tuple(variables[path].shape)}
    if different and not (skip_mismatch and all("_classes/" in path for path in different)):
        raise ValueError(
            f"{path}: has other classes. Received: {len(model.class_names)} classes; skip_mismatch=True leaves the "
            "class predictions as initialized"
        )
    for path in arrays.keys() - different:
        variables[path].assign(arrays[path])
