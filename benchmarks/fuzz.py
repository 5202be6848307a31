"""Read files that are changed at random: each must end in a result or in one line, in bounded memory and time.

    pip install -e '.[dev]'
    python benchmarks/fuzz.py cfg npz --inputs 1000 --seed 0 --output fuzz.json

The kinds of files are rows of `KINDS` in tests/support/fuzz_models.py and fuzz_data.py. An input is a whole file with a
change or a few, which follow from the kind, the seed and the input's number alone. A child process reads one after the
other, with at most 4 GB of memory and 20 seconds for each; after a crash, a hang or a limit another one takes the next.
What fails is kept in the folder beside --output, with what was said. The same command resumes: a kind that is there
with as many inputs is not repeated.

    crash      the process died
    hang       no answer within the time
    traceback  an exception that is neither an OSError nor a ValueError nor an ImportError, or one of several lines
    limit      out of memory
"""

import argparse
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
MODULES = "fuzz_models", "fuzz_data"
FAILURES = "crash", "hang", "traceback", "limit"
MEMORY, SECONDS, START = 4 << 30, 20.0, 180.0  # bytes, and seconds for an input and for a child's imports and files
FORGET = 200  # inputs after which Keras' graphs are dropped
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


def child(name, seed, first, last, memory, modules):
    """Read inputs first..last - 1, and write a line of JSON before and after each to the standard output."""
    answers = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    kind = kinds(modules)[name]
    with tempfile.TemporaryDirectory() as folder:
        files = whole_files(kind, folder)
        for file in files:  # what is imported when it is first needed
            outcome(kind.read, Path(folder), Path(folder, file))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        for number in range(first, last):
            file, content = made_input(kind, name, files, seed, number)
            print(json.dumps([number]), file=answers, flush=True)
            Path(folder, file).write_bytes(content)
            found, said, seconds = outcome(kind.read, Path(folder), Path(folder, file))
            Path(folder, file).write_bytes(files[file])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
            print(json.dumps([number, found, said[-2000:], seconds, peak]), file=answers, flush=True)
            if number % FORGET == FORGET - 1 and "keras" in sys.modules:
                sys.modules["keras"].utils.clear_session()


def run_kind(name, seed, inputs, memory=MEMORY, seconds=SECONDS, keep=None, modules=MODULES):
    """Read a kind's inputs 0..inputs - 1.

    Args:
        name: of the kind.
        seed: of the inputs.
        inputs: how many.
        memory: bytes that a child may have.
        seconds: for each input.
        keep: a folder for the inputs that fail, or None.
        modules: where the kind is looked for.

    Returns:
        A dictionary of the counts of each outcome, the slowest input's seconds, the largest memory in bytes, and the
        first failures: [number, outcome, what was said].
    """
    row = {"inputs": inputs, "seed": seed, "read": 0, "refused": 0, **dict.fromkeys(FAILURES, 0)}
    row |= {"slowest": 0.0, "peak": 0, "failures": []}

    def note(number, found, said):
        row[found] += 1
        if found in FAILURES:
            row["failures"] = [*row["failures"], [number, found, said]][:20]
            if keep:
                _keep(keep, kinds(modules)[name], f"{name}-{seed}-{number}", (name, seed, number), said)

    first = 0
    while first < inputs:
        for answer in _answers((name, seed, first, inputs, memory, modules), seconds):
            number, found, said, took, peak = answer
            note(number, found, said)
            row["slowest"], row["peak"] = max(row["slowest"], round(took, 3)), max(row["peak"], peak)
            first = number + 1
    return row


def _answers(task, seconds):
    """Yield what a child says of each of its inputs; its last word may be how it ended."""
    command, name = [sys.executable, __file__, "--child", json.dumps(task)], task[0]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, env=environment) as process:
        number, rest, limit, answered = None, b"", START, False
        try:
            while True:
                if not select.select([process.stdout], [], [], limit)[0]:
                    if number is None:
                        raise RuntimeError(f"{name}: the child does not begin within {START:.0f} seconds")
                    yield number, "hang", f"no answer within {seconds} seconds", seconds, 0
                    return
                if not (received := process.stdout.read(1 << 16)):
                    break
                *lines, rest = (rest + received).split(b"\n")
                for line in map(json.loads, lines):
                    if len(line) == 1:
                        (number,), limit = line, seconds
                    else:
                        number, answered = None, True
                        yield line
                        limit = START
            status = process.wait()
            if number is not None:
                end = signal.Signals(-status).name if status < 0 else f"exit {status}"
                yield number, "crash", f"the process died ({end})", 0.0, 0
            elif status and not answered:  # else the next child takes the next input
                raise RuntimeError(f"{name}: the child ended before its first input (status {status})")
        finally:
            process.kill()


def _keep(folder, kind, title, which, said):
    """Write an input that failed, and what was said of it."""
    with tempfile.TemporaryDirectory() as scratch:
        files = whole_files(kind, scratch)
    name, seed, number = which
    file, content = made_input(kind, name, files, seed, number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{title}-{Path(file).name}").write_bytes(content)
    (folder / f"{title}.txt").write_text(f"{file}\n{said}\n")


def main():
    """Read each kind's inputs, print a line for each kind, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds of files [all]")
    parser.add_argument("--inputs", type=int, default=1000, help="of each kind [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=Path("fuzz.json"), help="[%(default)s]")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return 0
    known = kinds()
    if unknown := set(options.kinds) - set(known):
        parser.error(f"no such kind: {', '.join(unknown)}; known are {', '.join(known)}")
    rows = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in options.kinds or known:
        row = rows.get(name, {})
        if (row.get("inputs"), row.get("seed")) != (options.inputs, options.seed):
            began = time.perf_counter()
            rows[name] = row = run_kind(name, options.seed, options.inputs, keep=options.output.with_suffix(""))
            row["seconds"] = round(time.perf_counter() - began)
            options.output.write_text(json.dumps(rows, indent=1) + "\n")
        counts = ", ".join(f"{row[key]} {key}" for key in ("read", "refused", *FAILURES))
        print(f"{name}: {row['inputs']} inputs: {counts}; slowest {row['slowest']:.1f} s, {row['peak'] / 1e9:.1f} GB")
        for number, found, said in row["failures"]:
            print(f"  {number} {found}: {said.strip().splitlines()[-1][:160]}")
    return int(any(rows[name][found] for name in options.kinds or known for found in FAILURES))


if __name__ == "__main__":
    sys.exit(main())
