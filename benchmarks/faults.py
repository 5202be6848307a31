"""Kill each command at random moments, and fill its disk: it leaves the old output or the new one, whole.

    pip install -e '.[dev]'
    python benchmarks/faults.py --kills 10 --seed 0 --output docs/measured/faults.json

Commands run in forks of one process that has imported everything. Each writes into a folder that holds the output of an
earlier run. It is killed by SIGKILL at a moment between its start and the time that it takes, and looked at: every file
of the earlier run is there, and each file is that of before or a whole one. After the last kill it runs to its end, and
nothing unfinished is left. The full disk is a tmpfs, for which the script has to be root: it has room for a random part
of the output, and the command has to end in one line or well.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from html.parser import HTMLParser
from pathlib import Path

PAGE = 4096  # bytes that a tmpfs gives at a time
SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
TRAINED = "--batch-size 2 --data-workers 0 --data {voc}"
COMMANDS = {  # name: of the earlier run, of the run that is disturbed; {out} is the folder that it writes
    "train": (
        f"train --weights {{keras}} --run {{out}} --epochs 1 --overwrite {TRAINED}",
        f"train --weights {{keras}} --run {{out}} --epochs 2 --resume {TRAINED}",
    ),
    "quantize": (f"quantize --model {{keras}} --run {{out}} --overwrite --loss 1 {TRAINED}",) * 2,
    "evaluate": ("evaluate --model {keras} --data {voc} --split val --output {out}",) * 2,
    "export": ("export --model {keras} --output {out}/model.tflite --precision float32",) * 2,
    "check": ("check {tflite}",) * 2,
    "benchmark": ("benchmark {tflite} --output {out} --threads 1 --runs 3",) * 2,
    "data pack": ("data pack {voc} --output {out} --shards 2",) * 2,
    "data check": ("data check {voc} --sheet {out}/sheet.png",) * 2,
    "data show": ("data show {voc} --output {out}/sheet.png --size 96 --count 4",) * 2,
    "analyze": ("analyze {keras} --html {out}/costs.html",) * 2,
}


def main():
    """Disturb each command, print a line for each, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="commands, such as 'data pack' [all]")
    parser.add_argument("--kills", type=int, default=10, help="of each command [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=Path("faults.json"), help="[%(default)s]")
    options = parser.parse_args()
    if unknown := set(options.commands) - set(COMMANDS):
        parser.error(f"no such command: {', '.join(unknown)}; known are {', '.join(COMMANDS)}")
    _import_all()
    rows = {}
    with tempfile.TemporaryDirectory(prefix="faults.") as home:
        inputs = _inputs(Path(home))
        for name in options.commands or COMMANDS:
            trial = Trial(name, Path(home) / name.replace(" ", "_"), inputs)
            rows[name] = row = trial.disturbed(options.kills, random.Random(f"{name} {options.seed}"))
            print(
                f"{name}: {row['whole']} of {row['kills']} kills leave the old or the new, whole; full disk: "
                f"{row['full_disk']}; {row['seconds']:.1f} s",
                *row["faults"],
                sep="\n  ",
                flush=True,
            )
            options.output.write_text(json.dumps({"seed": options.seed, "commands": rows}, indent=1) + "\n")
    return int(any(row["faults"] for row in rows.values()))


class Trial:
    """A command in a folder of its own, with the output of an earlier run to begin from."""

    def __init__(self, name, home, inputs):
        self.first, self.disturbing = (
            [part.format(out=home / "out", **inputs) for part in text.split()] for text in COMMANDS[name]
        )
        self.out, self.old, self.scratch = home / "out", home / "old", home / "scratch"
        self.said = home / "said.txt"
        for folder in (self.out, self.scratch):
            folder.mkdir(parents=True)

    def disturbed(self, kills, rng):
        """Return the row of the table; its "faults" are lines on what went wrong."""
        faults, whole = [], 0
        if status := self.wait(self.start(self.first)):
            raise RuntimeError(f"{' '.join(self.first)}: ended with status {status}: {self.said.read_text()}")
        shutil.copytree(self.out, self.old)
        began = time.perf_counter()
        status = self.wait(self.start(self.disturbing))
        seconds = time.perf_counter() - began
        faults += [f"undisturbed: status {status}"] if status else []
        for number in range(kills):
            self.reset()
            process = self.start(self.disturbing)
            moment = rng.uniform(0, seconds)
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
            self.wait(process)
            found = self.wrong()
            faults += [f"kill {number} after {moment:.2f} s: {line}" for line in found]
            whole += not found
        status = self.wait(self.start(self.disturbing))
        left = [path.name for folder in (self.out, self.scratch) for path in folder.iterdir() if _unfinished(path)]
        faults += [
            f"after the kills: {line}" for line in (*left, *self.wrong(), *([f"status {status}"] * (status > 0)))
        ]
        full = self.on_a_full_disk(rng, faults) if os.geteuid() == 0 else "not tried, root alone mounts one"
        return dict(kills=kills, whole=whole, full_disk=full, seconds=round(seconds, 2), faults=faults)

    def on_a_full_disk(self, rng, faults):
        """Return how the command ends on a tmpfs with room beside the old output for a part of its largest file."""
        largest = max((path.stat().st_size for path in self.out.rglob("*")), default=0)
        room = sum(-(-path.stat().st_size // PAGE) for path in self.old.rglob("*")) + int(rng.random() * largest / PAGE)
        self.empty()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={max(1, room) * PAGE}", "tmpfs", str(self.out)]
        subprocess.run(mount, check=True)
        try:
            shutil.copytree(self.old, self.out, dirs_exist_ok=True)
            status = self.wait(self.start(self.disturbing))
            faults += [f"full disk: {line}" for line in self.wrong()]
            lines = self.said.read_text().splitlines()
        finally:
            subprocess.run(["umount", str(self.out)], check=True)
        line = lines[-1] if lines else ""
        if any(one.startswith("Traceback") for one in lines) or (status and not line.startswith("cspkeras: ")):
            faults.append(f"full disk: status {status}: {line}")
        return line.replace(str(self.out), "OUT") if status else "it had room"

    def wrong(self):
        """Return what is neither the old output nor a new one, a line each."""
        lines, found = [], {path.relative_to(self.out) for path in self.out.rglob("*") if path.is_file()}
        for path in sorted(found):
            if _unfinished(Path(path.parts[0])):
                continue
            old, new = self.old / path, self.out / path
            if old.exists() and old.read_bytes() == new.read_bytes():
                continue
            try:
                look(new)
            except Exception as error:
                lines.append(f"{path}: {type(error).__name__} {error}")
        old = {path.relative_to(self.old) for path in self.old.rglob("*") if path.is_file()}
        return lines + [f"{path}: is gone" for path in sorted(old - found)]

    def reset(self):
        """Put the earlier run's files in place; what a killed command has left unfinished stays, to be cleared."""
        self.empty(keep=_unfinished)
        shutil.copytree(self.old, self.out, dirs_exist_ok=True)

    def empty(self, keep=lambda path: False):
        for path in self.out.iterdir():
            if not keep(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def start(self, arguments):
        """Run a command in a fork; return its process."""

        def work():
            said = os.open(self.said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(said, stream)
            os.environ["TMPDIR"] = tempfile.tempdir = str(self.scratch)
            from cspkeras.commands.main import main as command

            status = command(arguments)
            sys.stdout.flush()
            return status

        return forked(work)

    @staticmethod
    def wait(process):
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def forked(work):
    """Start a function, which returns an exit status, in a fork; return the fork's process."""
    if process := os.fork():
        return process
    status = 1
    try:
        status = work()
    finally:
        os._exit(status)


def _unfinished(path):
    return path.name.startswith(".") and path.name.endswith(".unfinished")


def look(path):
    """Read a file of a command's output to its end; raise an error where it is not whole."""
    read = LOOKS.get(path.suffix)
    if read is None:
        raise ValueError("a kind of file that no command writes")
    read(path)


def _read_npz(path):
    import numpy as np

    with np.load(path) as file:
        dict(file)


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise ValueError(f"its {broken} is damaged")


def _read_image(path):
    from PIL import Image

    if not path.read_bytes().endswith(b"IEND\xaeB`\x82"):
        raise ValueError("it has no end")
    Image.open(path).load()


def _read_page(path):
    if not path.read_text("utf-8").rstrip().endswith(("</html>", "</svg>")):
        raise ValueError("it has no end")
    HTMLParser().feed(path.read_text("utf-8"))


def _read_records(path):
    """Walk a TFRecord file's framing: length, its checksum, data, its checksum."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        place += 16 + int.from_bytes(content[place : place + 8], "little")
    if place != len(content):
        raise ValueError("its last record is cut")


def _read_rows(path):
    with open(path, newline="") as file:
        first, *rows = csv.reader(file)
    if not path.read_bytes().endswith(b"\n") or any(len(row) != len(first) for row in rows):
        raise ValueError("its last row is cut")


def _read_text(path):
    if not path.read_bytes().endswith(b"}\n"):
        raise ValueError("its last item is cut")


LOOKS = {
    ".npz": _read_npz,
    ".keras": _read_zip,
    ".tflite": _read_zip,  # the settings are its end
    ".png": _read_image,
    ".html": _read_page,
    ".svg": _read_page,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".csv": _read_rows,
    ".tfrecord": _read_records,
    ".pbtxt": _read_text,
}


def _import_all():
    """Import what the commands need; TensorFlow makes its threads later, so that a fork has all that it needs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.path.insert(0, str(SUPPORT))
    import albumentations  # noqa: F401
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    from cspkeras.commands import main  # noqa: F401
    from cspkeras.tflite import check, convert  # noqa: F401
    from cspkeras.training import fit, read  # noqa: F401


def _inputs(home):
    """Make a data set, a network and its file, in a fork, since TensorFlow's threads do not survive one."""
    inputs = {"voc": home / "voc", "keras": home / "small.keras", "tflite": home / "small.tflite"}

    def work():
        from small_data import COLORS, small_voc
        from small_networks import shallow_detector

        from cspkeras.tflite import convert

        small_voc(inputs["voc"], train=4, val=2)
        model = shallow_detector(classes=tuple(COLORS))
        model.save(inputs["keras"])
        convert(model, inputs["tflite"], "float32")
        return 0

    if status := Trial.wait(forked(work)):
        raise RuntimeError(f"the networks can't be made: status {status}")
    return inputs


if __name__ == "__main__":
    sys.exit(main())
