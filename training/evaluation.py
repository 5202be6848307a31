"""COCO mean average precision, by faster-coco-eval."""

import contextlib
import io

import numpy as np

EVALUATION_THRESHOLD = 0.001  # scores below decide nothing


def evaluate(detect, data, batch_size=16, report=print):
    """Measure a detector on a data set.

    Args:
        detect: function of a list of (h, w, 3) uint8 pictures, `score_threshold` and `iou_threshold`, that gives for
            each a dict of "boxes" (in the picture's pixels), "labels" and "scores": `Detector.detect`, or the device's.
        data: `DetectionData`.
        batch_size: pictures a call.
        report: called with a line for each picture that can't be read; it is skipped.

    Returns:
        {"mAP": AP at IoU 0.50 to 0.95, "mAP50", "mAP75", "per_class": {name: AP}}, in 0..1. A class that does not
        occur has NaN, and no part in the means.

    Raises:
        ValueError: where no picture can be read.
    """
    pictures, truths, found = [], [], []

    def flush():
        found.extend(detect(pictures, score_threshold=EVALUATION_THRESHOLD, iou_threshold=0.5))
        pictures.clear()

    for example in data.examples:
        try:
            pictures.append(example.pixels())
        except OSError as e:
            report(f"skipped: {e}")
            continue
        truths.append((example.boxes, example.labels))
        if len(pictures) == batch_size:
            flush()
    if pictures:
        flush()
    if not truths:
        raise ValueError(f"none of the {len(data.examples)} pictures can be read")
    return coco_map(truths, found, data.class_names)


def coco_map(truths, found, class_names):
    """COCO's average precision of detections against ground truth.

    Args:
        truths: for each picture (boxes (N, 4) x1, y1, x2, y2 in pixels, labels (N,)).
        found: for each picture {"boxes", "labels", "scores"}.
        class_names: the classes' names.

    Returns:
        As `evaluate`.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    annotations, results = [], []
    for image, ((boxes, labels), detection) in enumerate(zip(truths, found, strict=True), 1):
        for box, label in zip(_xywh(boxes), labels, strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=int(label) + 1,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
            )
        for box, label, score in zip(_xywh(detection["boxes"]), detection["labels"], detection["scores"], strict=True):
            results.append(dict(image_id=image, category_id=int(label) + 1, bbox=box, score=float(score)))
    categories = [dict(id=i, name=name) for i, name in enumerate(class_names, 1)]
    pictures = [dict(id=i) for i in range(1, len(truths) + 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(dict(images=pictures, annotations=annotations, categories=categories))
        judge = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    # Dimensions: IoU threshold, recall, class, area, most detections; -1 where a class does not occur.
    precision = judge.eval["precision"][..., 0, -1]
    per_class = {
        name: float(np.mean(p)) if np.all((p := precision[:, :, k]) > -1) else float("nan")
        for k, name in enumerate(class_names)
    }
    mean, at50, at75 = (max(0.0, float(v)) for v in judge.stats[:3])
    return {"mAP": mean, "mAP50": at50, "mAP75": at75, "per_class": per_class}


def _xywh(boxes):
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()


def load_detect(path):
    """(detect function for `evaluate`, class names) of a detector in a .keras or a .tflite file."""
    if str(path).endswith(".tflite"):
        from ..tflite.detect import Detector as DeviceDetector

        device = DeviceDetector(path)

        def detect(pictures, **thresholds):
            return [device.detect(picture, **thresholds) for picture in pictures]

        return detect, tuple(device.labels)
    from ..detection.detector import load_detector

    model = load_detector(path)
    return model.detect, model.class_names
