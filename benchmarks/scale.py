"""Large data sets: how long they take to read, and how many cores their batches can use.

    pip install -e '.[training]' && pip install -r benchmarks/requirements.txt
    python benchmarks/scale.py --folder scratch --output docs/measured/scale.json

Makes a set of COCO's size and one of ImageNet's in the scratch folder, of links to a few images, and measures

* reading: time and memory, beside pycocotools, and beside a bare listing of the files;
* the first batch after `cspkeras train` starts;
* images per second with 1, 2, 4, ... workers, the processor time of both sides, and Amdahl's law fitted to it;
* training where one image in 32 has 1,000 or 10,000 boxes.

Each measurement has a process of its own. Those that are compared take turns; a figure is the median of the rounds.
About twenty minutes on two cores, and two million links. Killed at any moment, the same command resumes.
"""

import argparse
import json
import os
import platform
import statistics
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import scale_parts as parts
from amdahl import fitted, speedup
from load import TOLERATED, Load, Patience
from made_coco import linked_images, made_coco

SIDES = {"detection": 416, "classification": 256}
BATCH_SIZES = {"detection": 16, "classification": 64}
CORES = 16, 64, 256  # that the law is asked about
CROWDS = 0, 1_000, 10_000
RATE_IMAGES = 2_000  # enough for images per second: those of the large sets are links, too
VALIDATION = 50
PACKAGES = "keras", "tensorflow", "numpy", "albumentations", "pycocotools"


def versions():
    """Return {package: version} of those that are there."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def powers(cores):
    """Return 1, 2, 4, ... up to the number of cores, and it."""
    return sorted({min(2**i, cores) for i in range(cores.bit_length() + 1)})


def made(folder, images, boxes, files, classes, seed):
    """Make the sets that are not there yet; return {name: folder}."""
    sets = {name: folder / name for name in ("coco", "imagenet", "few")}
    for name, count, objects in (("coco", images, boxes), ("few", min(RATE_IMAGES, images), None)):
        mark = folder / f"{name} {count} {objects} {seed}"
        if not mark.exists():
            made_coco(sets[name], count, objects or 7 * count, seed, split="train")
            made_coco(sets[name], VALIDATION, 7 * VALIDATION, seed + 1, split="val")
            mark.touch()
    mark = folder / f"imagenet {files} {classes} {seed}"
    if not mark.exists():
        for split, count in (("train", files), ("val", VALIDATION * classes // 10)):
            names = [f"n{i % classes:08}/n{i % classes:08}_{i // classes}.JPEG" for i in range(count)]
            linked_images(sets["imagenet"] / split, names, seed)
        mark.touch()
    return sets


def alone(function, *arguments):
    """Call a function in a process of its own; return what it returns, and the share of the cores others have used."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_loaded, function, *arguments).result()


def _loaded(function, *arguments):
    load = Load()
    value = function(*arguments)
    return value, load.others(value.pop("children", 0.0))


class Measuring:
    """Measurements, kept in a file as soon as they are there.

    Args:
        path: the JSON file.
        setting: what must be the same when a file is resumed.
        patience: seconds to wait for a quiet machine, in all.
    """

    def __init__(self, path, setting, patience):
        self.path, self.patience = path, Patience(patience)
        self.results = json.loads(path.read_text()) if path.exists() else {"setting": setting, "load": 0.0}
        if self.results["setting"] != setting:
            raise SystemExit(f"{path}: measured with other settings, {self.results['setting']}. Received: {setting}")

    def rounds(self, name, works, count):
        """Measure a part, unless it is known; {label: partial} take turns."""
        if name not in self.results:
            found = {label: [] for label in works}
            for _ in range(count):
                for label, work in works.items():
                    value, load = self.patience.undisturbed(partial(alone, work.func, *work.args))
                    print(name, label, json.dumps(value), flush=True)
                    found[label].append(value)
                    self.results["load"] = max(self.results["load"], load)
            self.keep(name, found)

    def keep(self, name, found):
        from cspkeras.files import write_json

        self.results[name] = found
        write_json(self.path, self.results)


def law(found):
    """Return what the speeds with each number of workers say, and what the processor time does.

    The time of the process that takes the batches, but for the conversion that its threads do side by side, is an upper
    bound of what is serial.
    """
    serial = fitted({int(workers): [one["images_per_second"] for one in rounds] for workers, rounds in found.items()})
    direct = statistics.median(
        (one["own"] - one["converting"]) / (one["own"] + one["workers"]) for rounds in found.values() for one in rounds
    )
    predicted = {str(cores): [speedup(share, cores) for share in (serial.share, direct)] for cores in CORES}
    return {"fitted": asdict(serial), "processor": direct, "speedups": predicted}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder; sets that are there are used again")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write or resume")
    parser.add_argument("--images", type=int, default=118_287, help="of the COCO set [%(default)s]")
    parser.add_argument("--boxes", type=int, default=861_962, help="in it [%(default)s]")
    parser.add_argument("--files", type=int, default=1_281_167, help="of the ImageNet set [%(default)s]")
    parser.add_argument("--classes", type=int, default=1_000, help="in it [%(default)s]")
    parser.add_argument("--workers", type=int, nargs="+", default=powers(os.cpu_count()), help="%(default)s")
    parser.add_argument("--crowds", type=int, nargs="*", default=CROWDS, help="boxes of an image in 32 %(default)s")
    parser.add_argument("--repeats", type=int, default=4, help="of the 32 images in an epoch [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="of images per second; of the rest three at most")
    parser.add_argument("--seconds", type=float, default=5, help="that images are counted [%(default)s]")
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for a quiet machine, in all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    unlike = "folder", "output", "patience"
    machine |= {"sides": SIDES, "batch sizes": BATCH_SIZES}
    setting = machine | versions() | {key: value for key, value in vars(args).items() if key not in unlike}
    measuring = Measuring(args.output, json.loads(json.dumps(setting)), args.patience)
    sets = made(args.folder, args.images, args.boxes, args.files, args.classes, args.seed)
    coco, imagenet, few = (sets[name] for name in ("coco", "imagenet", "few"))

    slow = min(args.rounds, 3)
    readers = {"cspkeras": partial(parts.read, coco, "coco")}
    if "pycocotools" in setting:
        readers["pycocotools"] = partial(parts.pycocotools, coco)
    else:
        print("pycocotools: not installed")
    measuring.rounds("coco", readers, slow)
    readers = {"cspkeras": partial(parts.read, imagenet, "folder"), "listing": partial(parts.listed, imagenet)}
    measuring.rounds("imagenet", readers, slow)
    run = args.folder / "run"
    starts = {
        name: partial(parts.first_batch, folder, model, run / name, SIDES[task])
        for name, folder, model, task in (
            ("coco", coco, parts.NETWORK, "detection"),
            ("imagenet", imagenet, "CSPResNet50", "classification"),
        )
    }
    measuring.rounds("first batch", starts, 1)
    laws = {}
    for task, side in SIDES.items():
        settings = few, side, BATCH_SIZES[task]
        rates = {str(n): partial(parts.rate, task, *settings, n, args.seconds) for n in args.workers}
        measuring.rounds(task, rates, args.rounds)
        if len(rates) > 1:
            laws[task] = law(measuring.results[task])
    measuring.keep("law", laws)
    crowds = {
        str(boxes): partial(parts.crowded, boxes or parts.USUAL_BOXES, args.repeats, run / "crowded", args.seed)
        for boxes in args.crowds
    }
    measuring.rounds("crowded", crowds, 1)
    if measuring.results["load"] > TOLERATED:
        print(f"Other programs used up to {measuring.results['load']:.0%} of the cores: not worth quoting.")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
