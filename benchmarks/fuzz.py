"""Read files that are changed at random: each must end in a result or in one line, in bounded memory and time.

    pip install -e '.[dev]'
    python benchmarks/fuzz.py cfg npz --inputs 1000 --seed 0 --output fuzz.json
    nice -n 19 python benchmarks/fuzz.py --processor 200 --processes 2      # a million inputs of all kinds, unattended

The kinds of files are rows of `KINDS` in tests/support/fuzz_models.py and fuzz_data.py. An input is a whole file with a
change or a few, which follow from the kind, the seed and the input's number alone. A process, forked from one that has
imported everything, reads one after the other, with at most 4 GB of memory and 20 seconds for each; after a crash, a
hang or a limit another one takes the next. The first failures of each kind are kept in the folder beside --output, with
what was said. The same command resumes where it was ended, and with more inputs continues after those that are there.
Quick kinds are read some hundred times as often as networks: with --processor each gets the same time.

    crash      the process died
    hang       no answer within the time
    traceback  an exception that is neither an OSError nor a ValueError nor an ImportError, or one of several lines
    limit      out of memory
"""

import argparse
import faulthandler
import json
import math
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

from faults import SUPPORT, forked, import_all

MODULES = "fuzz_models", "fuzz_data"
FAILURES = "crash", "hang", "traceback", "limit"
MEMORY, SECONDS, START = 4 << 30, 20.0, 180.0  # bytes, and seconds for an input and for a child's imports and files
GENERATION, KEPT = 1000, 20  # inputs that a process reads, as Keras loses memory; failures of a kind that are kept
ACCEPTED = OSError, ValueError, ImportError


def kinds(modules=MODULES):
    """Return {name: `mutations.Kind`} of those modules of tests/support that there are."""
    if str(SUPPORT) not in sys.path:
        sys.path.insert(0, str(SUPPORT))
    there = [module for module in modules if (SUPPORT / f"{module}.py").exists()]
    return {name: kind for module in there for name, kind in import_module(module).KINDS.items()}


def whole_files(kind, folder):
    """Make a kind's files in a folder; return {path within it: bytes}."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in kind.make(Path(folder))}


def made_input(kind, name, files, seed, number):
    """Return which of the files is changed in an input, and its content."""
    rng = random.Random(f"{name} {seed} {number}")
    file = rng.choice(sorted(files))
    return file, kind.mutate(files[file], file, rng)


def outcome(read, folder, file):
    """Return what reading makes of a file: "read", "refused" or a failure; what is said; and the seconds."""
    began = time.perf_counter()
    try:
        read(folder, file)
        found, said = "read", ""
    except MemoryError:
        found, said = "limit", traceback.format_exc()
    except ACCEPTED as error:
        found, said = "refused", str(error)
        if len(said.splitlines()) != 1:
            found, said = "traceback", traceback.format_exc()
    except Exception:
        found, said = "traceback", traceback.format_exc()
    return found, said, time.perf_counter() - began


def child(kind, name, folder, task, answers):
    """Read inputs in a folder, and write a line of JSON before and after each.

    `task` is the seed, the first number, that after the last, the seconds of processor time after which no other input
    is read, and the bytes of memory; `answers` the descriptor that is written to. Returns the exit status.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.disable()  # its report is of no use here
    seed, first, last, processor, memory = task
    answers, silent = os.fdopen(answers, "w"), os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    tempfile.tempdir = str(folder.parent)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    files = whole_files(kind, folder)
    for file in files:  # what is imported when it is first needed
        outcome(kind.read, folder, folder / file)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    began = time.process_time()
    for number in range(first, last):
        file, content = made_input(kind, name, files, seed, number)
        (folder / file).write_bytes(content)
        print(json.dumps([number, file]), file=answers, flush=True)
        found, said, seconds = outcome(kind.read, folder, folder / file)
        if found in FAILURES:
            (folder / "failed").write_bytes(content)
        (folder / file).write_bytes(files[file])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        said, spent = said[-2000:] if found in FAILURES else "", time.process_time() - began
        print(json.dumps([number, found, said, seconds, peak, spent]), file=answers, flush=True)
        if spent >= processor:
            break
    return 0


class Reader:
    """A fork that reads some of a kind's inputs, from the row's number on, and how they end in the row.

    Args:
        name: of the kind.
        row: its counts, to which this adds.
        seed: of the inputs.
        inputs: how many in all.
        processor: seconds of processor time for all of them.
        memory: bytes that the fork may have.
        seconds: for each input.
        keep: a folder for the inputs that fail, or None.
        modules: where the kind is looked for.
    """

    def __init__(
        self, name, row, seed, inputs, processor=math.inf, memory=MEMORY, seconds=SECONDS, keep=None, modules=MODULES
    ):
        self.name, self.row, self.seconds, self.keep = name, row, seconds, keep
        kind, self._home = kinds(modules)[name], tempfile.TemporaryDirectory(prefix="fuzz.")
        self.folder = Path(self._home.name, "files")
        self.folder.mkdir()
        last = min(inputs, row["inputs"] + GENERATION)
        task = seed, row["inputs"], last, processor - row["processor"], memory
        self.pipe, answers = os.pipe()
        self._process = forked(lambda: child(kind, name, self.folder, task, answers))
        os.close(answers)
        self._rest, self._now, self._spent, self.deadline = b"", None, 0.0, time.monotonic() + START

    def take(self):
        """Take what the fork has said; return whether it continues."""
        if received := os.read(self.pipe, 1 << 16):
            *lines, self._rest = (self._rest + received).split(b"\n")
            for line in map(json.loads, lines):
                self._heard(*line)
            return True
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        self._process = None
        if self._now:
            end = signal.Signals(-status).name if status < 0 else f"exit {status}"
            self._failed("crash", f"the process died ({end})")
        elif status and not self._spent:  # else the next one takes the next input
            raise RuntimeError(f"{self.name}: the process ended before its first input (status {status})")
        return False

    def give_up(self):
        """End the fork: it has said nothing for too long."""
        if not self._now:
            raise RuntimeError(f"{self.name}: the process does not begin within {START:.0f} seconds")
        self._failed("hang", f"no answer within {self.seconds} seconds")

    def close(self):
        """End the fork, if it runs, and remove its folder."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        os.close(self.pipe)
        self._home.cleanup()

    def _heard(self, number, found, said=None, seconds=0.0, peak=0, spent=0.0):
        if said is None:
            self._now, self.deadline = (number, found), time.monotonic() + self.seconds
            return
        row = self.row
        row["slowest"], row["peak"] = max(row["slowest"], round(seconds, 3)), max(row["peak"], peak)
        row["processor"], self._spent = round(row["processor"] + spent - self._spent, 3), spent
        self._note(found, said, self.folder / "failed")
        self._now, self.deadline = None, time.monotonic() + START

    def _failed(self, found, said):
        self._note(found, said, self.folder / self._now[1])

    def _note(self, found, said, content):
        row, (number, file) = self.row, self._now
        row[found] += 1
        row["inputs"] = number + 1
        if found in FAILURES and len(row["failures"]) < KEPT:
            row["failures"].append([number, found, said])
            if self.keep:
                self.keep.mkdir(parents=True, exist_ok=True)
                title = f"{self.name}-{row['seed']}-{number}"
                shutil.copy(content, self.keep / f"{title}-{Path(file).name}")
                (self.keep / f"{title}.txt").write_text(f"{file}\n{said}\n", errors="backslashreplace")


def run_kinds(names, rows, seed, inputs, processor=math.inf, processes=1, save=lambda: None, **options):
    """Read the inputs of kinds that are not in their rows yet, {name: row}; `options` are those of a `Reader`.

    `save` is called now and then. Yields the name of each kind that is done.
    """
    waiting, running, saved = list(names), {}, time.monotonic()
    for name in names:
        begun = {"inputs": 0, "seed": seed, "read": 0, "refused": 0, **dict.fromkeys(FAILURES, 0)}
        begun |= {"slowest": 0.0, "peak": 0, "processor": 0.0, "failures": []}
        if (row := rows.get(name, {})).get("seed") != seed or row.keys() != begun.keys():
            rows[name] = begun
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                name = waiting.pop(0)
                if rows[name]["inputs"] < inputs and rows[name]["processor"] < processor:
                    reader = Reader(name, rows[name], seed, inputs, processor, **options)
                    running[reader.pipe] = reader
                else:
                    yield name
            ready = select.select(list(running), [], [], 1.0)[0]
            for pipe, reader in list(running.items()):
                late = time.monotonic() > reader.deadline
                if pipe in ready and reader.take() or not (pipe in ready or late):
                    continue
                if late and pipe not in ready:
                    reader.give_up()
                running.pop(pipe).close()
                waiting.insert(0, reader.name)  # for another one, which takes the next input
            if time.monotonic() > saved + 60:
                saved = time.monotonic()
                save()
    finally:
        for reader in running.values():
            reader.close()


def main():
    """Read each kind's inputs, print a line for each kind, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds of files [all]")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--inputs", type=int, default=1000, help="of each kind [%(default)s]")
    amount.add_argument("--processor", type=float, help="seconds of processor time for each kind, in place of --inputs")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=Path("fuzz.json"), help="[%(default)s]")
    about = "for an input, more on a machine that has other work [%(default)g]"
    parser.add_argument("--seconds", type=float, default=SECONDS, help=about)
    parser.add_argument("--processes", type=int, default=1, help="kinds at a time [%(default)s]")
    options = parser.parse_args()
    known = kinds()
    if unknown := set(options.kinds) - set(known):
        parser.error(f"no such kind: {', '.join(unknown)}; known are {', '.join(known)}")
    import_all()
    from cspkeras.files import write_json

    names, output = options.kinds or list(known), options.output
    amount = (options.inputs, math.inf) if options.processor is None else (sys.maxsize, options.processor)
    rows = json.loads(output.read_text()) if output.exists() else {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`
    how = dict(processes=options.processes, seconds=options.seconds, keep=output.with_suffix(""))
    how["save"] = lambda: write_json(output, rows)
    try:
        for name in run_kinds(names, rows, options.seed, *amount, **how):
            write_json(output, rows)
            print(*lines(name, rows[name]), sep="\n", flush=True)
    finally:
        write_json(output, rows)
    return int(any(rows[name][found] for name in names for found in FAILURES))


def lines(name, row):
    """Yield what there is to say of a kind, and of its first failures."""
    counts = ", ".join(f"{row[key]} {key}" for key in ("read", "refused", *FAILURES))
    speed = row["inputs"] / max(row["processor"], 1e-3)
    rest = f"slowest {row['slowest']:.1f} s, {row['peak'] / 1e9:.1f} GB; {speed:.0f} inputs per second of one core"
    yield f"{name}: {row['inputs']} inputs: {counts}; {rest}"
    for number, found, said in row["failures"]:
        yield f"  {number} {found}: {said.strip().splitlines()[-1][:160]}"


if __name__ == "__main__":
    sys.exit(main())
