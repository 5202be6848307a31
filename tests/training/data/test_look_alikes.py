"""Look-alikes: found among many images, and none among plain ones."""

import numpy as np
from soft_images import soft_scene

from cspkeras.training.data.look_alikes import equals, image_fingerprint, look_alikes


def test_images_that_show_nothing_are_like_no_other():
    plain = [np.full((20 + i, 30, 3), 50 * i, "uint8") for i in range(4)] + [np.zeros((1, 1, 3), "uint8")]
    prints = [image_fingerprint(pixels) for pixels in (*plain, plain[2])]
    assert look_alikes(prints, [0] * 6) == [] and equals(prints) == [[2, 5]]
    assert look_alikes([], []) == [] and equals([]) == []
    one, other = (image_fingerprint(np.zeros(shape, "uint8")) for shape in ((2, 3, 3), (3, 2, 3)))
    assert one.digest != other.digest


def test_look_alikes_are_found_among_many():
    images = [soft_scene(i) for i in range(400)]
    noise = np.random.default_rng(0).normal(0, 4, (400, 48, 64, 3))
    noisy = [np.uint8((image + n).clip(0, 255)) for image, n in zip(images, noise, strict=True)]
    found = look_alikes([image_fingerprint(image) for image in images + noisy], [0] * 400 + [1] * 400)
    assert all(j - i == 400 for i, j in found) and len(found) > 390
