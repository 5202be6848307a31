"""What it takes to use a .tflite file - preprocessing, thresholds, class names - carried inside the file.

The settings lie in a zip archive appended after the flatbuffer, TFLite's way of carrying associated files:
the runtimes read the file from its front and ignore the archive, unzip reads it from its end and ignores the
network. Two entries are ours, `cspkeras.json` (the settings) and `labels.txt` (a class per line); others stay.

The settings of a detector:

    {"task": "detection", "model": "CSPPeleeNetEFM", "precision": "int8",
     "input": {"height": 416, "width": 416, "colors": "RGB", "mean": 0.0, "scale": 1 / 255,
               "resize": "letterbox", "fill": 114},
     "boxes": "cyxhw", "score_threshold": 0.25, "iou_threshold": 0.5}

A detector whose boxes are "raw" says in "decode" how its reader makes boxes of them: the "coding", a name in
`codings.CODINGS`, and of each level "stride", "scale_xy" and "anchors". Older files say "linear" instead, which was
true for "free" and false for "yolo".

A classifier's task is "classification", its "resize" is "crop", the middle of the image, and in place of boxes and
overlap it says what its "scores" are, "softmax" (in older files "probabilities"), "sigmoid" or "logits". Grey images
have the colors "gray".

"float_layers" are the layers that stay in floats in a file of integers, "weights" the "source" and the "license" of the
published weights that the model began with; a model of any other task has these alone.

The network's input is (pixel - mean) * scale. `attach` adds `"format": 1`, the version of this layout.
"""

import io
import json
import os
import zipfile
from collections.abc import Sequence

FORMAT = 1
SETTINGS_ENTRY = "cspkeras.json"
LABELS_ENTRY = "labels.txt"
DETECTION_KEYS = ("model", "precision", "input", "boxes", "score_threshold", "iou_threshold")
INPUT_KEYS = ("height", "width", "colors", "mean", "scale", "resize", "fill")


class NoSettingsError(ValueError):
    """A .tflite file carries no settings of cspkeras."""


def attach(model: bytes, settings: dict, labels: Sequence[str]) -> bytes:
    """Append settings and class names to a .tflite file; earlier ones are replaced.

    Args:
        model: the bytes of a .tflite file, with or without settings.
        settings: what JSON can hold, as in the module's docstring.
        labels: a name per class, in the order of the network's scores.

    Returns:
        The bytes of the file with its settings; the same arguments give the same bytes.

    Raises:
        ValueError: `model` is not a .tflite file, a detector's settings lack a key, or a label is empty or spans
            several lines.
    """
    _check_tflite(model[:8], "model")
    if settings.get("task") == "detection":
        missing = [key for key in DETECTION_KEYS if key not in settings]
        missing += [f"input.{key}" for key in INPUT_KEYS if key not in settings.get("input", {})]
        if missing:
            raise ValueError(f"settings of a detector lack {', '.join(missing)}. Received: {settings}")
    for label in labels:
        if not isinstance(label, str) or not label.strip() or label.splitlines() != [label]:
            raise ValueError(f"labels must be non-empty strings of one line. Received: {label!r}")
    ours = {
        LABELS_ENTRY: "".join(f"{label}\n" for label in labels).encode(),
        SETTINGS_ENTRY: json.dumps({"format": FORMAT, **settings}, indent=1).encode(),
    }
    flatbuffer, others = _split(model)
    file = io.BytesIO(flatbuffer)
    # Mode "a" puts the archive after what is there. Stored, not deflated: MediaPipe reads labels in place.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for name, content in {**others, **ours}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's date is fixed: same bytes every time
    return file.getvalue()


def read(path: str | os.PathLike) -> tuple[dict, list[str]]:
    """Read the settings and the class names that a .tflite file carries.

    Args:
        path: a .tflite file written by `cspkeras.tflite.convert`.

    Returns:
        The settings as in the module's docstring, and the class names.

    Raises:
        OSError: the file can't be read.
        NoSettingsError: it carries none.
        ValueError: it is not a .tflite file, or its settings are damaged or of another format.
    """
    from ..device.labels import check_lengths
    from ..device.limits import read_members

    with open(path, "rb") as file:
        _check_tflite(file.read(8), path)
        try:
            settings, labels = read_members(file, (SETTINGS_ENTRY, LABELS_ENTRY))
        except KeyError as error:
            message = "carries no cspkeras settings; export it with cspkeras.tflite.convert"
            raise NoSettingsError(f"{path}: {message}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        try:
            settings, labels = dict(json.loads(settings)), labels.decode().splitlines()
            check_lengths(labels, LABELS_ENTRY)
        except (RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: its cspkeras settings are damaged: {error}") from error
    if settings.get("format") != FORMAT:
        raise ValueError(f"{path}: its settings have format {settings.get('format')}; expected {FORMAT}")
    return settings, labels


def _check_tflite(head: bytes, name: str | os.PathLike) -> None:
    if head[4:8] != b"TFL3":
        raise ValueError(f"{name}: not a .tflite file (bytes 4 to 8 are {head[4:8]!r}, not b'TFL3')")


def _split(model: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Split a file into the flatbuffer and the entries of the archive after it (none if there is no archive)."""
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            entries = archive.infolist()
            start = min((entry.header_offset for entry in entries), default=archive.start_dir)
            return model[:start], {entry.filename: archive.read(entry) for entry in entries}
    except zipfile.BadZipFile:
        return model, {}
