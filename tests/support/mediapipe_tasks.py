"""Run by another Python, where MediaPipe is installed: what its tasks find in an image, as JSON.

python mediapipe_tasks.py detect|classify MODEL IMAGE SCORE
"""

import json
import sys

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision

task, model, path, score = sys.argv[1:]
options = {"base_options": BaseOptions(model_asset_path=model), "score_threshold": float(score)}
image = mp.Image.create_from_file(path)
if task == "detect":
    with vision.ObjectDetector.create_from_options(vision.ObjectDetectorOptions(**options)) as detector:
        found = [
            {
                "label": detection.categories[0].category_name,
                "score": detection.categories[0].score,
                "box": [b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height],
            }
            for detection in detector.detect(image).detections
            for b in [detection.bounding_box]
        ]
else:
    with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(**options)) as classifier:
        (answer,) = classifier.classify(image).classifications
        found = [{"label": category.category_name, "score": category.score} for category in answer.categories]
print(json.dumps(found))
