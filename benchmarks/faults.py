"""Kill each command at random moments, and fill its disk: it leaves the old output or the new one, whole.

    pip install -e '.[dev]'
    python benchmarks/faults.py --kills 10 --ends 4 --seed 0 --output docs/measured/faults.json

Commands run in forks of one process that has imported everything. Each writes into a folder that holds the output of an
earlier run. It is killed by SIGKILL at a moment between its start and the time that it takes, and looked at: every file
of the earlier run is there, and each file is that of before or a whole one. After the last kill it runs to its end, and
nothing unfinished is left. SIGTERM and Ctrl-C have to end it in one line, with nothing unfinished left. The full disk
is a tmpfs, for which the script has to be root: it has room for a random part of the output, then for one of the
temporary files, and the command has to end in one line or well. The same command resumes: what is in --output, of that
seed and as many moments, is not repeated.
"""

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from whole_files import look

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
    "demo": ("", "demo --run {out}"),  # from the beginning; after the kills it continues where they have left it
}


def main():
    """Disturb each command, print a line for each, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="commands, such as 'data pack' [all]")
    parser.add_argument("--kills", type=int, default=10, help="of each command [%(default)s]")
    parser.add_argument("--ends", type=int, default=4, help="by SIGTERM and SIGINT of each command [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=Path("faults.json"), help="[%(default)s]")
    options = parser.parse_args()
    if unknown := set(options.commands) - set(COMMANDS):
        parser.error(f"no such command: {', '.join(unknown)}; known are {', '.join(COMMANDS)}")
    import_all()
    asked = {"seed": options.seed, "kills": options.kills, "ends": options.ends}
    before = json.loads(options.output.read_text()) if options.output.exists() else {}
    rows = before.get("commands", {}) if asked.items() <= before.items() else {}
    with tempfile.TemporaryDirectory(prefix="faults.") as home:
        inputs = _inputs(Path(home))
        for name in [name for name in options.commands or COMMANDS if name not in rows]:
            trial = Trial(name, Path(home) / name.replace(" ", "_"), inputs)
            rows[name] = row = trial.disturbed(options.kills, options.ends, random.Random(f"{name} {options.seed}"))
            disks = [f"full disk {name}: {end}" for name, end in row["full_disk"].items()]
            whole = f"{row['whole']} of {options.kills} kills leave the old or the new, whole"
            ended = f"{row['ended']} of {options.ends} times SIGTERM or SIGINT ends it in a line"
            print(f"{name}, {row['seconds']:.1f} s: {whole}; {ended}", *disks, *row["faults"], sep="\n  ", flush=True)
            options.output.write_text(json.dumps({**asked, "commands": rows}, indent=1) + "\n")
    return int(any(row["faults"] for row in rows.values()))


class Trial:
    """A command in a folder of its own, with the output of an earlier run to begin from."""

    def __init__(self, name, home, inputs):
        self.first, self.disturbing = (
            [part.format(out=home / "out", **inputs) for part in text.split()] for text in COMMANDS[name]
        )
        self.prepare = PREPARATIONS.get(name, lambda: None)
        self.out, self.old, self.scratch = home / "out", home / "old", home / "scratch"
        self.said, self.peak, self.faults = home / "said.txt", 0, []
        for folder in (self.out, self.scratch):
            folder.mkdir(parents=True)

    def disturbed(self, kills, ends, rng):
        """Return the row of the table; its "faults" are lines on what went wrong."""
        if self.first and (status := self.wait(self.start(self.first))):
            raise RuntimeError(f"{' '.join(self.first)}: ended with status {status}: {self.said.read_text()}")
        shutil.copytree(self.out, self.old)
        began = time.perf_counter()
        self.to_its_end("undisturbed")
        seconds = time.perf_counter() - began
        whole = sum(self.struck(signal.SIGKILL, rng.uniform(0, seconds)) for _ in range(kills))
        self.to_its_end("after the kills")
        ends = [signal.SIGTERM, signal.SIGINT] * (ends // 2)
        ended = sum(self.struck(one, rng.uniform(0, seconds)) for one in ends)
        disks = {"of the output": self.full_output, "of temporary files": self.full_scratch}
        full = {name: fill(rng) for name, fill in disks.items()} if os.geteuid() == 0 else {}
        return dict(whole=whole, ended=ended, full_disk=full, seconds=round(seconds, 2), faults=self.faults)

    def struck(self, sent, moment):
        """Send the command a signal at a moment; return whether it leaves the old or the new and, if it can, a line."""
        self.reset()
        process, before, when = self.start(self.disturbing), len(self.faults), f"{sent.name} after {moment:.2f} s"
        time.sleep(moment)
        os.kill(process, sent)
        status = self.wait(process)
        if sent == signal.SIGKILL:
            self.is_whole(when)
        elif status != -sent:  # which ends it before it begins
            self.ended(when, status)
        with suppress(ProcessLookupError):  # what it had started still runs
            os.killpg(process, signal.SIGKILL)
        return len(self.faults) == before

    def to_its_end(self, when):
        """Run the command that is disturbed; measure the most bytes of temporary files that it has at a time."""
        process = self.start(self.disturbing)
        while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            self.peak = max(self.peak, _bytes(self.scratch))
            time.sleep(0.02)
        if status := self.wait(process):
            self.faults.append(f"{when}: status {status}: {self.last_line()}")
        self.ended(when, status)

    def full_output(self, rng):
        """Fill the disk of the output, but for the old one and a part of its largest file."""
        if not (files := [path.stat().st_size for path in self.out.rglob("*") if path.is_file()]):
            return "writes none"
        kept = sum(-(-path.stat().st_size // PAGE) for path in self.old.rglob("*"))
        self.empty()
        with _disk(self.out, kept + int(rng.random() * max(files) / PAGE)):
            shutil.copytree(self.old, self.out, dirs_exist_ok=True)
            return self.ended("full disk of the output", self.wait(self.start(self.disturbing)))

    def full_scratch(self, rng):
        """Fill the disk of the temporary files, but for a part of what they need."""
        if not self.peak:
            return "writes none"
        self.reset()
        with _disk(self.scratch, int(rng.random() * self.peak / PAGE)):
            return self.ended("full disk of temporary files", self.wait(self.start(self.disturbing)))

    def ended(self, when, status):
        """Return how the command has ended: in a line, or well."""
        left = (path.name for folder in (self.out, self.scratch) for path in folder.rglob("*"))
        self.faults += [f"{when}: left {name}" for name in left if _unfinished(name)]
        self.is_whole(when)
        line = self.last_line()
        if "Traceback (most recent" in self.said.read_text() or (status and not line.startswith("cspkeras: ")):
            self.faults.append(f"{when}: status {status}: {line}")
        return line if status else "it had room"

    def last_line(self):
        line = (self.said.read_text().splitlines() or [""])[-1]
        for path, name in ((self.out, "OUT"), (self.scratch, "TMP"), (self.out.parents[1], "IN")):
            line = line.replace(str(path), name)
        return line

    def is_whole(self, when):
        """Note as a fault what is not old, or new and whole."""
        self.faults += [f"{when}: {line}" for line in self.wrong()]

    def wrong(self):
        """Return what is neither the old output nor a new one, a line each."""
        lines, found = [], {path.relative_to(self.out) for path in self.out.rglob("*") if path.is_file()}
        for path in sorted(found):
            if any(map(_unfinished, path.parts)):
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
        self.empty(keep=lambda path: _unfinished(path.name))
        shutil.copytree(self.old, self.out, dirs_exist_ok=True)

    def empty(self, keep=lambda path: False):
        for path in self.out.iterdir():
            if not keep(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def start(self, arguments):
        """Run a command in a fork; return its process."""

        def work():
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it
            said = os.open(self.said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(said, stream)
            os.environ["TMPDIR"] = tempfile.tempdir = str(self.scratch)
            self.prepare()
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


def _unfinished(name):
    return name.startswith(".") and name.endswith((".unfinished", ".part"))


def _bytes(folder):
    sizes = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                sizes += os.stat(f"{path}/{name}").st_size
    return sizes


@contextmanager
def _disk(folder, pages):
    """Put a disk of so many pages in place of a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={max(1, pages) * PAGE}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a process of the command may still be there


def _smaller_demo():
    from cspkeras.demo import device, drawn

    drawn.TRAIN, drawn.VAL, drawn.HELD_OUT, device.SHOWN = 16, 4, 4, 2
    drawn.TRAINING = dataclasses.replace(drawn.TRAINING, epochs=2, batch_size=8, data_workers=0)
    drawn.QUANTIZATION = dataclasses.replace(drawn.QUANTIZATION, epochs=1, batch_size=8, data_workers=0)


PREPARATIONS = {"demo": _smaller_demo}


def import_all():
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
