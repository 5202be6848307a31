"""What the four raw numbers of a box mean: one row for each way that detectors have.

A function of `boxes.FUNCTIONS` is applied to each number; the results are a centre and a size, or four distances.
`tflite/device/decoding.py`, the demo app and the browser page have a table with the same names.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Coding:
    """How the four raw numbers of a prediction make its box.

    Attributes:
        first: the function of the first two, a key of `boxes.FUNCTIONS`.
        last: that of the last two.
        distances: whether they are then the distances from the cell's left upper corner to the box's left, top, right
            and bottom in cells, instead of its centre x and y in cells and its width and height in anchors.
        objectness: whether a prediction has an objectness before its classes; if not, its scores are the classes'.
    """

    first: str
    last: str
    distances: bool = False
    objectness: bool = True


CODINGS = {
    "yolo": Coding("sigmoid", "exp"),  # YOLOv3 and YOLOv4
    "free": Coding("linear", "exp"),  # YOLOX
    "scaled": Coding("sigmoid", "square"),  # Darknet's new_coords: scaled YOLOv4, YOLOv7
    "distances": Coding("linear", "linear", distances=True, objectness=False),  # RTMDet tiny and S
    "log_distances": Coding("exp", "exp", distances=True, objectness=False),  # RTMDet M, L and X
}
