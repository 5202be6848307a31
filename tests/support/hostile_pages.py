"""Every page that the library writes, with the same names wherever a page takes one from outside."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from cspkeras.analysis.report import write_analysis
from cspkeras.demo.summary_page import write_summary_page
from cspkeras.files import replacing
from cspkeras.reports.bar_chart import bar_chart
from cspkeras.training import ClassificationData, DetectionData, Example, LabelledImage, Recipe
from cspkeras.training.evaluation.classification import Answers, classify
from cspkeras.training.evaluation.classification_report import write_classification_report
from cspkeras.training.evaluation.detection_report import write_detection_report
from cspkeras.training.evaluation.mistakes import assess
from cspkeras.training.run.report import write_run_report

SCRIPT = "document.title='owned'"
HOSTILE = (
    f"<script>{SCRIPT}</script>",
    f'"><img src=x onerror="{SCRIPT}">',
    f"'onload='{SCRIPT}",
    f"</style><script>{SCRIPT}</script>",
    f"</title><svg onload={SCRIPT}>",
    f"]]><script>{SCRIPT}</script>",
    "{0.__class__} {} {title} %s",
    "&lt;b&gt; &amp;",
    "\x1b[31m\x07\r\x85\x9b0m\u202e\u2066\udcff\uffff",
)
PLAIN = tuple("abcdefghi")
GREY = np.full((48, 64, 3), 120, "uint8")


def write_all(folder, names):
    """Write each page with `names`, as many as in `HOSTILE`, and all of them in one; return {what: its path}."""
    folder.mkdir()
    files = [_image(folder, i, name) for i, name in enumerate(names)]
    return {
        "analysis": _analysis(folder, names),
        "bar chart": _bar_chart(folder, names),
        "detector": _detector(folder / "many", names, files),
        "detector of few classes": _detector(folder / "few", names[:4], files[:4]),
        "classifier": _classifier(folder / "classifier", names, files),
        "run": _run(folder, names),
        "demo": _demo(folder, names),
    }


def _image(folder, i, name):
    """Write an image with the name in its file's name, which a slash or a NUL can't be in."""
    path = folder / f"{i}{name.replace('/', '')}.png"
    Image.fromarray(GREY).save(path)
    return path


def _analysis(folder, names):
    layers = [
        SimpleNamespace(name=name, kind=name, shape=(8, 8, 4), weights=9, bflops=0.1, cio=9.0, activations=9)
        for name in names
    ]
    cost = SimpleNamespace(trainable=9, weights=9, bflops=0.1, costliest=(names[0], 0.1), cio=9, each=layers)
    model, peak = SimpleNamespace(name="".join(names), input_shape=(None, 8, 8, 3)), SimpleNamespace(elements=9)
    peak.layer = names[1]
    return write_analysis(folder / "analysis.html", [(model, cost, peak), (model, cost, peak)])


def _bar_chart(folder, names):
    path = folder / "chart.svg"
    with replacing(path) as aside:
        aside.write_text(bar_chart([(name, [(name, 1.0, 2.0, name)]) for name in names]), encoding="utf-8")
    return path


def _detector(folder, names, files):
    """An evaluation in which the last object of each but the first class is missed."""
    box, answers, examples = np.float32([[8, 8, 24, 32]]), [], []
    for k, file in enumerate(files):
        examples.append(Example(file, box, np.int64([k])))
        boxes = box if k == 0 else box[:0]
        answers.append({"boxes": boxes, "labels": np.full(len(boxes), k), "scores": np.full(len(boxes), 0.9)})
    data = DetectionData(examples, names, list(names))
    found = assess(lambda images, **_: [answers.pop(0) for _ in images], data)
    return write_detection_report(folder, found, "".join(names), names)


def _classifier(folder, names, files):
    scores = np.eye(len(names), dtype="float32")[[0] * len(names)]
    data = ClassificationData([LabelledImage(file, k) for k, file in enumerate(files)], names, list(names))
    answers = Answers(lambda images: scores[: len(images)], (32, 32), "softmax", len(names), names)
    return write_classification_report(folder, classify(answers, data), "".join(names), names)


def _run(folder, names):
    row = {"epoch": 1, "loss": 2.0, "val_loss": 2.0, "val_mAP": 0.5, "val_mAP50": 0.6, "learning_rate": 0.1}
    data = SimpleNamespace(examples=[], class_names=names)
    task = SimpleNamespace(model=SimpleNamespace(name="".join(names)), train=data, val=data)
    task.recipe, task.report_images = Recipe(loss={name: name for name in names}), lambda: [(n, GREY) for n in names]
    return write_run_report(folder / "run.html", task, SimpleNamespace(rows=[row], best=row))


def _demo(folder, names):
    return write_summary_page(
        folder / "demo.html",
        "".join(names),
        "".join(names),
        [{"name": name} for name in names],
        {name: [{"epoch": 1, "loss": 2.0}] for name in names},
        [(name, GREY) for name in names],
        [(name, name) for name in names],
        names,
    )
