"""The tables on large data sets, from scale.json."""

import json
import statistics

from file_tables import MEASURED

TASKS = "detection", "classification"
VERSIONS = "python", "keras", "tensorflow", "numpy", "albumentations", "pycocotools"


def _known():
    return json.loads((MEASURED / "scale.json").read_text())


def _median(rounds, key):
    return statistics.median(one[key] for one in rounds)


def reading():
    known = _known()
    setting, first = known["setting"], known["first batch"]
    yield "data set", "images", "what", "seconds", "beside", "memory, MB", "beside"
    for name, title, count, other, label in (
        ("coco", "COCO's size", setting["images"], "pycocotools", "pycocotools"),
        ("imagenet", "ImageNet's size", setting["files"], "listing", "a bare listing of the files"),
    ):
        read, beside = known[name]["cspkeras"], known[name][other]
        for what, rounds, to, of in (
            (label, beside, None, None),
            ("`read`", read, beside, other),
            ("`cspkeras train`, to its first batch", first[name], read, "`read`"),
        ):
            cells = []
            for key, scale, digits in (("seconds", 1, 1), ("memory", 1e6, 0)):
                value = _median(rounds, key)
                ratio = f"{value / _median(to, key):.2f} of {of}" if to else None
                cells += [f"{value / scale:,.{digits}f}", ratio]
            yield title, f"{count:,}", what, *cells


def workers():
    known = _known()
    yield (
        "batches",
        "workers",
        "images/s",
        "of one worker's",
        "processor time of an image, ms: its worker",
        "who takes it",
        "memory of the workers, MB",
    )
    for task in TASKS:
        rounds = known[task]
        one = next(iter(rounds.values()))
        for count, found in rounds.items():
            ratios = [a["images_per_second"] / b["images_per_second"] for a, b in zip(found, one, strict=True)]
            batch = known["setting"]["batch sizes"][task]
            times = [f"{1000 * _median(found, key) / batch:.2f}" for key in ("workers", "own")]
            speed, memory = _median(found, "images_per_second"), _median(found, "memory")
            title = f"{task} at {known['setting']['sides'][task]}"
            yield title, count, f"{speed:,.0f}", f"{statistics.median(ratios):.2f}", *times, f"{memory / 1e6:,.0f}"


def serial():
    known = _known()
    cores = list(known["law"][TASKS[0]]["speedups"])
    yield "batches", "from", "serial share", *(f"speed with {count} cores" for count in cores)
    for task in TASKS:
        law = known["law"][task]
        by_speed = law["fitted"]
        spread = f"{by_speed['share']:.1%} ({by_speed['low']:.1%} to {by_speed['high']:.1%})".replace("-", "−")
        for i, (how, share) in enumerate((("the speeds", spread), ("processor time", f"{law['processor']:.1%}"))):
            yield task, how, share, *(f"{law['speedups'][count][i]:.1f} x" for count in cores)


def crowds():
    known = _known()["crowded"]
    usual = next(iter(known.values()))
    yield "boxes of one image in 32", "images/s", "of the usual", "memory, GB"
    for boxes, found in known.items():
        speed, memory = (_median(found, key) for key in ("images_per_second", "memory"))
        ratio = speed / _median(usual, "images_per_second")
        yield (
            f"{int(boxes):,}" if int(boxes) else "as the others",
            f"{speed:.1f}",
            f"{ratio:.2f}",
            f"{memory / 1e9:.2f}",
        )


def scale_setting():
    """How it was measured."""
    known = _known()
    setting = known["setting"]
    yield "what", "value"
    yield (
        "machine",
        f"{setting['machine']}, {setting['cores']} cores; other programs used up to {known['load']:.0%} of them",
    )
    yield "versions", ", ".join(f"{name} {setting[name]}" for name in VERSIONS if name in setting)
    sizes = " and ".join(str(setting["batch sizes"][task]) for task in TASKS)
    batches = f"batches of {sizes}, {setting['rounds']} rounds of {setting['seconds']:g} seconds"
    yield "images per second", f"{batches}, in turns"
    yield "reading", f"{len(known['coco']['cspkeras'])} rounds, in turns; medians"
    yield "seed", setting["seed"]
