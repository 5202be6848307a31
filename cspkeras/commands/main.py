"""The `cspkeras` command: assemble the sub-commands, run one, and report its error in one line."""

import argparse
import os
import sys
import warnings

from . import analyze, anchors, benchmark, check, data, demo, evaluate, export, models, quantize, serve, train
from .terminal import one_line, printable_output, reason

COMMANDS = (  # in the order of --help
    *(models, analyze, train, quantize, evaluate, anchors),
    *(export, check, data, benchmark, serve, demo),
)


def main(arguments=None):
    """Run the command line; return the exit status."""
    # Pillow's, of two lines; an image that is too large is told.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    with printable_output():
        return _run(make_parser().parse_args(arguments))


def _run(options):
    try:
        status = options.run(options) or 0
        sys.stdout.flush()  # a reader that has gone shows here and not at Python's end
        return status
    except BrokenPipeError:  # of `cspkeras ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes
        return 141  # the status that shells give a command ended by SIGPIPE
    except KeyboardInterrupt:
        return _failed(f"interrupted{options.resume_hint(options)}", 130)
    except Exception as e:
        if options.traceback:
            raise
        return _failed(reason(e))


def _failed(message, status=1):
    print(f"cspkeras: {one_line(message)}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, as all others are."""

    def error(self, message):
        self.exit(2, f"cspkeras: {one_line(message)}; see {self.prog} --help\n")


def make_parser():
    """Return the parser of all sub-commands."""
    parser = _Parser(prog="cspkeras", description="CSP networks in Keras, from training to the phone.")
    parser.set_defaults(resume_hint=lambda options: "")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
