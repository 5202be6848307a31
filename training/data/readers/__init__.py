"""The formats of data sets that can be read, each in one module of this package.

The module of a format defines `FORMAT`, a `Format`: the format's name, how a data set of it is recognized, which splits
it has and how one is read. To add a format, write such a module and list its `FORMAT` below; `read`, `splits`, the
commands, their help texts and the error for an unknown format follow. Usually `FORMAT.read` is the format's public
function `read_<format>(path, split, class_names)`; list that in training/__init__.pyi.

A reader finds, for each image, its path or `images.StoredImage` and a list of `annotations.Annotation` (or the name of
its class), adds a line to `problems` for everything that it leaves out or changes, and returns what
`annotations.collect` (or `collect_labels`) makes of them. `annotations.add_object` checks a box and adds its object or
problem; `images.upright_size` and `images.checked_size` give an image's size. Nothing is decoded while reading, and a
package that one format alone needs is imported in its functions.
"""

from . import coco, image_folder, tfds, tfrecord, voc, yolo

# The first that matches is read.
FORMATS = (voc.FORMAT, coco.FORMAT, yolo.FORMAT, tfrecord.FORMAT, image_folder.FORMAT, tfds.FORMAT)
