"""COCO's mean average precision, by faster-coco-eval."""

import contextlib
import io
from collections.abc import Callable

import numpy as np

from ..data.examples import DetectionData, readable

EVALUATION_THRESHOLD = 0.001  # lower scores change nothing
SUMMARY = (  # COCO's summary in its order: IoU 0.50 to 0.95 unless named; areas are divided at 32² and 96²
    *("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)


def evaluate(
    detect: Callable[..., list[dict[str, np.ndarray]]],
    data: DetectionData,
    batch_size: int = 16,
    report: Callable[[str], object] = print,
) -> dict[str, object]:
    """Measure a detector on a data set with COCO's metrics.

    Args:
        detect: function of a list of (h, w, 3) uint8 images, `score_threshold` and `iou_threshold`, that returns for
            each image a dict of "boxes" (in its pixels), "labels" and "scores": `Detector.detect`, or the device's.
        data: the data set, its classes those of the detector.
        batch_size: images per call of `detect`; only these are in memory.
        report: called with a line for each image that can't be read; it is skipped.

    Returns:
        A dict of COCO's average precisions ("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large") and
        recalls ("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"), all in 0..1, of "per_class":
        {name: {"AP", "AP50", "objects"}}, and of "curves": {name: (101,) precision at IoU 0.50 for a recall of 0, 0.01,
        ... 1}. A class or an area that does not occur has NaN, such a class no curve, and no part in the means.

    Raises:
        ValueError: where no image can be read, or a detection is of a class that the data lacks.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import DetectionData, Example, evaluate
        >>> box = np.float32([[10, 10, 50, 50]])
        >>> data = DetectionData([Example(np.zeros((64, 64, 3), "uint8"), box, np.int64([0]))], ("cat",))
        >>> found = {"boxes": box, "labels": np.int64([0]), "scores": np.float32([0.9])}
        >>> measured = evaluate(lambda images, **thresholds: [found for _ in images], data)
        >>> round(measured["mAP"], 3), measured["per_class"]["cat"]["objects"]
        (1.0, 1)
    """
    examples, found = detect_all(detect, data, batch_size, report)
    return coco_metrics(examples, found, data.class_names)


def detect_all(detect, data, batch_size=16, report=print):
    """Return the examples whose images can be read, and the detections in each; see `evaluate` for the rest."""
    examples, found, images = [], [], []

    def flush():
        found.extend(detect(images, score_threshold=EVALUATION_THRESHOLD, iou_threshold=0.5))
        images.clear()

    for example, pixels in readable(data.examples, report):
        examples.append(example)
        images.append(pixels)
        if len(images) == batch_size:
            flush()
    if images:
        flush()
    if not examples:
        raise ValueError(f"none of the {len(data.examples)} images can be read")
    classes = len(data.class_names)
    if (most := max(int(max(f["labels"], default=0)) for f in found)) >= classes:
        raise ValueError(f"the detector and the data differ: it finds class {most}, the data has 0 to {classes - 1}")
    return examples, found


def coco_metrics(examples, found, class_names):
    """Return COCO's figures of the detections {"boxes", "labels", "scores"} in each example, as `evaluate` does."""
    from faster_coco_eval import COCO, COCOeval_faster

    annotations, results = [], []
    for image, (example, detection) in enumerate(zip(examples, found, strict=True), 1):
        boxes = xywh(example.boxes)
        areas = boxes[:, 2] * boxes[:, 3] if example.areas is None else example.areas
        annotations += _annotations(image, boxes, example.labels, areas, 0)
        boxes = xywh(example.crowd_boxes)
        annotations += _annotations(image, boxes, example.crowd_labels, boxes[:, 2] * boxes[:, 3], 1)
        boxes = xywh(detection["boxes"]).tolist()
        for box, label, score in zip(boxes, detection["labels"], detection["scores"], strict=True):
            results.append(dict(image_id=image, category_id=int(label) + 1, bbox=box, score=float(score)))
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    categories = [dict(id=i, name=name) for i, name in enumerate(class_names, 1)]
    images = [dict(id=i) for i in range(1, len(examples) + 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(dict(images=images, annotations=annotations, categories=categories))
        judge = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    summary = [float(value) if value >= 0 else np.nan for value in judge.stats[: len(SUMMARY)]]
    # A data set without objects ranks last instead of being undefined.
    summary[:3] = np.nan_to_num(summary[:3]).tolist()
    # Dimensions: IoU threshold, recall, class, area, most detections; -1 where a class does not occur.
    precision = np.where(judge.eval["precision"] < 0, np.nan, judge.eval["precision"])[..., 0, -1]
    objects = np.bincount(np.concatenate([e.labels for e in examples]).astype("int64"), minlength=len(class_names))
    per_class, curves = {}, {}
    for k, name in enumerate(class_names):
        ap, ap50 = float(precision[:, :, k].mean()), float(precision[0, :, k].mean())
        per_class[name] = {"AP": ap, "AP50": ap50, "objects": int(objects[k])}
        if np.isfinite(ap50):
            curves[name] = precision[0, :, k]
    return {**dict(zip(SUMMARY, summary, strict=True)), "per_class": per_class, "curves": curves}


def _annotations(image, boxes, labels, areas, crowd):
    return [
        dict(image_id=image, category_id=int(label) + 1, bbox=box, area=float(area), iscrowd=crowd)
        for box, label, area in zip(boxes.tolist(), labels, areas, strict=True)
    ]


def xywh(boxes):
    """Return corners x1, y1, x2, y2 as COCO's x, y, width, height: (N, 4) float64."""
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def load_detect(path):
    """Load a detector's .keras or .tflite file; return its detect function for `evaluate`, and its class names."""
    if str(path).endswith(".tflite"):
        from ...tflite.device.detect import Detector as DeviceDetector

        device = DeviceDetector(path)

        def detect(images, **thresholds):
            return [device.detect(image, **thresholds) for image in images]

        return detect, tuple(device.labels)
    from ...saving import load_detector

    model = load_detector(path)
    return model.detect, model.class_names
