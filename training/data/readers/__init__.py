"""The formats of data sets that can be read, each in one module of this package.

The module of a format defines `FORMAT`, a `Format`: the format's name, how a data set of it is recognized, which splits
it has and how one is read. To add a format, write such a module and list its `FORMAT` below; `read`, `splits`, the
commands, their help texts and the error for an unknown format follow.

A reader finds, for each image, its path or `images.StoredImage` and a list of `annotations.Annotation` (or the name of
its class), adds a line to `problems` for everything that it leaves out or changes, and returns what
`annotations.collect` (or `collect_labels`) makes of them. `annotations.Findings` does that where one file annotates
many images, and `annotation_files` tells which file is of which split. `files.folder.Folder` finds files and images
whatever their case. Nothing is decoded while reading, and a package that one format alone needs is imported in its
functions.
"""

from . import (
    coco,
    createml,
    csv_table,
    cvat,
    darknet,
    image_folder,
    kitti,
    labelme,
    open_images,
    tfds,
    tfrecord,
    via,
    voc,
    yolo,
)

# The first that matches is read.
FORMATS = (
    voc.FORMAT,
    coco.FORMAT,
    yolo.FORMAT,
    darknet.FORMAT,
    createml.FORMAT,
    labelme.FORMAT,
    via.FORMAT,
    cvat.FORMAT,
    open_images.FORMAT,
    csv_table.FORMAT,
    kitti.FORMAT,
    tfrecord.FORMAT,
    image_folder.FORMAT,
    tfds.FORMAT,
)
