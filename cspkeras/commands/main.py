"""The `cspkeras` command: assemble the sub-commands, run one, and report its error in one line."""

import argparse
import os
import shutil
import signal
import sys
import textwrap
import threading
import warnings
from contextlib import contextmanager
from importlib.metadata import version

from ..training.production.quiet import quiet_imports
from . import anchors, benchmark, check, completion, data, demo, doctor, evaluate, export, quantize, serve, train
from .arguments import EXAMPLE
from .networks import analyze, models
from .terminal import one_line, printable_output, reason

STEPS = {  # in the order of --help
    "networks": (models, analyze),
    "data": (data, anchors),
    "training": (train, quantize, evaluate),
    "files for the device": (export, check, benchmark, serve),
    "all of it": (demo,),
    "this machine": (doctor, completion),
}
SCRIPTS = "detect", "classify"
INDENT = " " * 13  # of what belongs to a command


def main(arguments=None):
    """Run the command line; return the exit status."""
    # Pillow's, of two lines; an image that is too large is told.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    with printable_output():
        parser, words = make_parser(), sys.argv[1:] if arguments is None else arguments
        if words and words[0] in SCRIPTS:
            script = f"python -m cspkeras.tflite.device.{words[0]} FILE.tflite IMAGES"
            parser.error(f"{words[0]} is a script for the device; here it is run by: {script}")
        return _run(parser.parse_args(words))


def _run(options):
    try:
        with _ended_by_sigterm():  # before which it ends without a word
            if options.keras:
                _import_layers()
            status = options.run(options) or 0
            sys.stdout.flush()  # a reader that has gone shows here and not at Python's end
            return status
    except BrokenPipeError:  # of `cspkeras ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes
        return 141  # the status that shells give a command ended by SIGPIPE
    except KeyboardInterrupt as e:
        return _failed(f"{str(e) or 'interrupted'}{options.resume_hint(options)}", 143 if str(e) else 130)
    except Exception as e:
        if options.traceback:
            raise
        return _failed(reason(e))


def _import_layers():
    """Import Keras and all layers of this package, which saved models may hold."""
    with quiet_imports():
        from ..training.quantization import aware  # noqa: F401


@contextmanager
def _ended_by_sigterm():
    """Let SIGTERM end a command as Ctrl-C does: with a line, and without what is half-written."""

    def end(*_):
        raise KeyboardInterrupt("ended by SIGTERM")

    if threading.current_thread() is not threading.main_thread():  # which alone has signals
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(message, status=1):
    print(f"cspkeras: {one_line(message)}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, as all others are; what is missing is shown in the example."""

    def error(self, message):
        example = (self.epilog or "").removeprefix(EXAMPLE)
        shown = f"for example: {example}; " if example and " required" in message else ""
        self.exit(2, f"cspkeras: {one_line(message)}; {shown}see {self.prog} --help\n")


class _Overview(_Parser):
    """The parser of all commands; its help lists them by `steps`, {step: their parsers}, each with an example."""

    def format_help(self):
        width = shutil.get_terminal_size().columns
        lines = [self.format_usage(), textwrap.fill(self.description, width)]
        for step, parsers in self.steps.items():
            lines += ["", f"{step}:"]
            for parser in parsers:
                about = f"{parser.prog.removeprefix(self.prog).strip():<11}{parser.description}"
                lines += textwrap.wrap(about, width, initial_indent="  ", subsequent_indent=INDENT)
                lines += [INDENT + parser.epilog.removeprefix(EXAMPLE)]
        return "\n".join([*lines, "", f"{self.prog} COMMAND --help shows what a command takes.", ""])


def make_parser():
    """Return the parser of all sub-commands."""
    parser = _Overview(prog="cspkeras", description="CSP networks in Keras, from training to the phone.")
    parser.set_defaults(parser=parser, keras=True, resume_hint=lambda options: "")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error comes from")
    parser.add_argument("--version", action="version", version=f"cspkeras {version('cspkeras')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for modules in STEPS.values():
        for command in modules:
            command.add(commands)
    parsers = iter(commands.choices.values())
    parser.steps = {step: [next(parsers) for _ in modules] for step, modules in STEPS.items()}
    return parser


if __name__ == "__main__":
    sys.exit(main())
