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
    from .frames import check_writable, folder_of, frames, prefetched, written_aside
    from .interpreter import find_runtime
    from .labels import read_labels
    from .printing import one_line, printable_output, shortened
else:  # as a script
    from frames import check_writable, folder_of, frames, prefetched, written_aside
    from interpreter import find_runtime
    from labels import read_labels
    from printing import one_line, printable_output, shortened


def numbers(text):
    """Parse --mean or --scale: one number or three, such as 127.5, 1/255 or 0.5,0.4,0.4."""
    parts = [part.split("/") for part in text.split(",")]
    try:
        values = [float(part[0]) / float("".join(part[1:]) or 1) for part in parts if len(part) < 3]
    except (ValueError, ZeroDivisionError):
        values = []
    if len(values) != len(parts) or len(values) not in (1, 3) or not np.isfinite(values).all():
        raise argparse.ArgumentTypeError(f"needs a number or three, such as 127.5, 1/255 or 124,116,104, not {text!r}")
    return values


def factors(text):
    """Parse --scale: `numbers`, none of them 0."""
    values = numbers(text)
    if not all(values):
        raise argparse.ArgumentTypeError(f"needs other numbers than 0, not {text!r}")
    return values


def make_parser(about):
    """Make a parser of the arguments that each of the device's scripts has."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("model", help="a .tflite file written by cspkeras.tflite.convert, or another one")
    parser.add_argument(
        "images",
        nargs="+",
        help="images, folders, patterns like '*.jpg', videos, a camera's number, rtsp:// or http:// streams, or - for"
        " stdin",
    )
    parser.add_argument("--threads", type=int, help="number of cores to run on [all]")
    parser.add_argument("--delegate", default="cpu", help="cpu, gpu, or a delegate library's path [%(default)s]")
    parser.add_argument("--labels", type=Path, help="a file of class names, one per line [MODEL's own]")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="the input's size, if MODEL leaves it open"
    )
    parser.add_argument("--mean", type=numbers, help="MODEL's input is (pixel - mean) * scale [as MODEL says]")
    parser.add_argument("--scale", type=factors, help="likewise; one number, or of red,green,blue [as MODEL says]")
    return parser


def load_network(options, kind, answer, **more):
    """Load the `kind` of `Network` that the command line names; `answer`, what is asked of it, is tried first."""
    labels, guessed = read_labels(options.labels) if options.labels else (None, "")
    arguments = options.model, options.threads, options.delegate, labels, options.size
    more.update(mean=options.mean, scale=options.scale)
    try_in_child(options.model, lambda: answer(kind(*arguments, **more), np.zeros((9, 9, 3), np.uint8)))
    network = kind(*arguments, **more)
    for note in filter(None, [guessed, *network.notes]):
        print(note, file=sys.stderr)
    return network


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
    """Answer image by image: print a line for each, and write a file of all answers, whatever happens in the middle.

    `answer` is a function of an image that the network has prepared, its array, its name and its frame's number or
    None; it returns a dictionary for the image's record and a text for its line. No image may come from the folder
    `output`. With "-" among the images the lines are JSON, one for each line of standard input, and there is no file.
    """
    lines, records, times, start = "-" in options.images, [], [], time.perf_counter()
    skipped, broken = 0, None
    if json_file and not lines:
        check_writable(json_file)
    try:
        for name, number, image, values in prefetched(_prepared(options.images, network, None if lines else output)):
            record = {"file": name} if number is None else {"file": name, "frame": number}
            try:
                found, text = (None, image) if values is None else answer(values, image, name, number)
            except FloatingPointError as error:
                found, text, broken = None, error, f"{options.model}: {error}"
            if found is None:
                skipped, why = skipped + 1, one_line(getattr(text, "strerror", None) or text)
                print(f"{name}: skipped: {why}", file=sys.stderr)
                if lines:
                    print(json.dumps({**record, "error": why}), flush=True)
                continue
            times.append(network.times)
            record.update(width=image.shape[1], height=image.shape[0], time_ms=network.times, **found)
            if not lines:  # which may never end
                records.append(record)
            place = name if number is None else f"{name} frame {number}"
            line = f"{place}: {text}, {sum(network.times.values()):.1f} ms per frame"
            print(json.dumps(record) if lines else shortened(line), flush=True)
    finally:
        if json_file and records:
            with written_aside(json_file) as aside:
                aside.write_text(json.dumps(records, indent=1))
    if not times:
        raise ValueError(broken or "no image could be read")
    _summarize(times, time.perf_counter() - start)
    if not lines:
        median = np.median([sum(t.values()) for t in times])
        print(f"images: {len(records)}, skipped: {skipped}, median {median:.1f} ms per frame")


def _prepared(names, network, output):
    """Yield (name, frame's number or None, image or error, what the network takes for it or None), no file twice."""
    seen, lines = set(), "-" in names
    for name, number, image in frames(dict.fromkeys(names)):
        values = None
        if not lines and number is None:  # standard input may never end, and wants each answer
            if name in seen:
                continue
            seen.add(name)
        if not isinstance(image, Exception):
            if output and number is None and os.path.realpath(output) == str(folder_of(name)):
                raise ValueError(f"{name}: lies in the output folder; name another with --output")
            try:
                values = network.prepare(image, video=number is not None)
            except (MemoryError, ValueError) as error:
                image = error
        yield name, number, image, values


def _summarize(times, seconds):
    parts = ", ".join(f"{part} {np.median([t[part] for t in times]):.1f}" for part in times[0])
    share = sum(t["inference"] for t in times) / 1000 / seconds
    speed = f"{len(times) / seconds:.1f} frames per second, {share:.0%} of the time inference"
    print(f"{speed}; median ms: {parts}", file=sys.stderr)


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
