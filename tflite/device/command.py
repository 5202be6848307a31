"""What the device's two command lines share: their arguments, their loop over images, their exit status."""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if __package__ or TYPE_CHECKING:
    from .frames import frames, prefetched, written_aside
    from .network import find_runtime
    from .printing import one_line, printable_output
else:  # as a script
    from frames import frames, prefetched, written_aside
    from network import find_runtime
    from printing import one_line, printable_output


def make_parser(about):
    """Make a parser of the arguments that each of the device's scripts has."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("model", help="a .tflite file written by cspkeras.tflite.convert")
    parser.add_argument(
        "images", nargs="+", help="images, folders, patterns like '*.jpg', videos, a camera's number, or - for stdin"
    )
    parser.add_argument("--threads", type=int, help="number of cores to run on [all]")
    parser.add_argument("--delegate", default="cpu", help="cpu, gpu, or a delegate library's path [%(default)s]")
    parser.add_argument("--labels", type=Path, help="a file of class names, one per line, if MODEL has no settings")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="the input's size, if MODEL leaves it open"
    )
    return parser


def load_network(options, kind, answer):
    """Load the `kind` of `Network` that the command line names; `answer`, what is asked of it, is tried first."""
    labels = options.labels and options.labels.read_text().splitlines()
    arguments = options.model, options.threads, options.delegate, labels, options.size
    try_in_child(options.model, lambda: answer(kind(*arguments), np.zeros((9, 9, 3), np.uint8)))
    return kind(*arguments)


def try_in_child(path, use):
    """Call `use` in a child process and raise a ValueError if it dies: a damaged file can end the whole process.

    An exception of `use` is ignored, since the parent will meet it again and report it.
    """
    find_runtime()  # once, for both
    if not hasattr(os, "fork"):
        return
    if not (child := os.fork()):
        with contextlib.suppress(Exception):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.alarm(60)
            use()
        os._exit(0)
    if os.WIFSIGNALED(status := os.waitpid(child, 0)[1]):
        raise ValueError(f"{path}: the TFLite runtime dies of it ({signal.Signals(os.WTERMSIG(status)).name})")


def process_images(options, network, answer, json_file=None, output=None):
    """Answer image by image: print a line for each, and write a file of all answers.

    `answer` is a function of an image that the network has prepared, its array, its name and its frame's number or
    None; it returns a dictionary for the image's record and a text for its line. No image may come from the folder
    `output`.
    """
    lines, records, seen, skipped, start = "-" in options.images, [], set(), 0, time.perf_counter()

    def prepared():
        for name, number, image in frames(dict.fromkeys(options.images)):
            if output and number is None and not lines and Path(name).resolve().parent == output.resolve():
                raise ValueError(f"{name}: lies in the output folder; name another with --output")
            if lines or number is not None or name not in seen:
                seen.add(name)
                failed = isinstance(image, Exception)
                yield name, number, image, None if failed else network.prepare(image, video=number is not None)

    for name, number, image, values in prefetched(prepared()):
        if values is None:
            print(f"{name}: skipped: {one_line(getattr(image, 'strerror', None) or image)}", file=sys.stderr)
            skipped += 1
            continue
        record = {"file": name} if number is None else {"file": name, "frame": number}
        record.update(width=image.shape[1], height=image.shape[0])
        found, text = answer(values, image, name, number)
        records.append({**record, "time_ms": network.times, **found})
        place = name if number is None else f"{name} frame {number}"
        line = f"{place}: {text}, {sum(network.times.values()):.1f} ms per frame"
        print(json.dumps(records[-1]) if lines else line, flush=True)
    if not records:
        raise ValueError("no image could be read")
    seconds, times = time.perf_counter() - start, [record["time_ms"] for record in records]
    parts = ", ".join(f"{part} {np.median([t[part] for t in times]):.1f}" for part in times[0])
    share = sum(t["inference"] for t in times) / 1000 / seconds
    speed = f"{len(records) / seconds:.1f} frames per second, {share:.0%} of the time inference"
    print(f"{speed}; median ms: {parts}", file=sys.stderr)
    if not lines:
        if json_file:
            with written_aside(json_file) as aside:
                aside.write_text(json.dumps(records, indent=1))
        median = np.median([sum(t.values()) for t in times])
        print(f"images: {len(records)}, skipped: {skipped}, median {median:.1f} ms per frame")


def run_script(script, run, parser, arguments):
    """Run a script on its command line and return its exit status; an error is printed in one line."""
    with printable_output():
        return _run(script, run, parser.parse_args(arguments))


def _run(script, run, options):
    try:
        run(options)
        return 0
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (ImportError, OSError, ValueError) as error:
        named = isinstance(error, OSError) and error.filename
        status, message = 1, f"{error.filename}: {error.strerror}" if named else str(error)
    print(f"{script}: {one_line(message)}", file=sys.stderr)
    return status
