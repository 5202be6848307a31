"""Give untrained networks activations in a realistic range, so that there is something to compare in their files.

As initialized, a network's raw outputs hardly differ, and its norms pass most values where activations are linear or
dead. After a hundred such layers rounding is all that is left to compare.
"""

import keras

RAW = {"_boxes": 0.5, "_scores": 2.0, "_classes": 2.0, "_objectness": 2.0}  # a head's last layers: wanted deviation
LOGITS = 4.0  # a classifier's: some of a thousand classes stand out


def calibrate_norms(model, images):
    """Give a network's norms the statistics of a batch of images and a shift of one, then `spread_outputs`.

    With that shift most values lie where activations are linear: where they are not, the smallest error grows to a
    result of its own after a hundred random layers.

    Args:
        model: a `Detector`, a classifier or any other Keras 3 model; its weights are changed.
        images: (N, H, W, 3) in 0..1.

    Returns:
        `model`.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.beta.assign(keras.ops.ones_like(norm.beta))
        norm.momentum = 0.0
    model(images, training=True)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
    return spread_outputs(model, images)


def spread_outputs(model, images):
    """Spread an untrained network's raw outputs, a detector's or a classifier's, as widely as a trained one's.

    Args and Returns: as in `calibrate_norms`.
    """
    for layer in model.layers:
        wanted = next((spread for end, spread in RAW.items() if layer.name.endswith(end)), None)
        if isinstance(layer, keras.layers.Dense) and layer.output is model.output:
            wanted = LOGITS
        if wanted is None or not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            continue
        x = keras.Model(model.input, layer.input)(images)
        layer.bias.assign(0 * layer.bias)
        raw = keras.ops.matmul(x, layer.kernel)  # a head's last convolution is a 1x1 one
        layer.kernel.assign(layer.kernel * wanted / keras.ops.std(raw))
    return model
