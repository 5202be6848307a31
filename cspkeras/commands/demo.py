"""The sub-command `demo`: everything once, end to end, on drawn digits or on a user's own images."""

import shlex
from functools import partial
from pathlib import Path

from .arguments import add_command, add_training_data, number
from .reading import read_parts

LEAST_MINUTES = 2
FOLDER, OWN_FOLDER = Path("runs/demo"), Path("runs/own_demo")
OWN = "data", "format", "train_split", "val_split", "weights", "minutes"  # options of a user's own images


def add(commands):
    """Add `demo` to the sub-commands."""
    about = "End-to-end demo, on drawn digits or your own images: train, quantize, convert, check and detect."
    parser = add_command(commands, "demo", run, about, "--data BCCD --weights coco")
    add_training_data(parser, without="drawn digits")
    about = (
        "weights to begin with, published ones by name or a file: of YOLOXNano (coco, bccd), for labelled images of "
    )
    about += "CSPNeXtTiny (imagenet) [random ones, of a small CSPPeleeNet]"
    parser.add_argument("--weights", type=Path, metavar="NAME|FILE", help=about)
    minutes = number(float, LEAST_MINUTES)
    parser.add_argument("--minutes", type=minutes, default=10, help="how long --data may take [%(default)s]")
    folders = f"the run's folder [{FOLDER}; with --data {OWN_FOLDER}]"
    parser.add_argument("--run", dest="folder", type=Path, metavar="FOLDER", help=folders)
    parser.add_argument("--overwrite", action="store_true", help="run a finished demo again")
    parser.set_defaults(resume_hint=_resume_hint, defaults={name: parser.get_default(name) for name in OWN})


def run(options):
    """Run the demo, or say where a finished one is."""
    given = {name: getattr(options, name) for name in OWN if getattr(options, name) != options.defaults[name]}
    flags = {f"--{name.replace('_', '-')}": str(value) for name, value in given.items()}
    if flags and not options.data:
        raise ValueError(f"{next(iter(flags))}: is for your own images; name them by --data, or leave it out")
    from ..demo.run import demo

    if options.data:
        from ..demo.own import own_case

        command = shlex.join(["cspkeras", "demo", *(word for flag in flags.items() for word in flag)])
        case = own_case(command, partial(read_parts, options), options.minutes, options.weights)
    else:
        from ..demo.drawn import drawn_case

        case = drawn_case()
    demo(case, options.folder or (OWN_FOLDER if options.data else FOLDER), overwrite=options.overwrite)


def _resume_hint(options):
    return f"; the same command{' without --overwrite' * options.overwrite} resumes it"
