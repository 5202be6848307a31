"""The sub-command `data serve`: training batches for other machines."""

from ..arguments import add_command, add_data_path, add_split
from ..reading import read_data
from ..terminal import log


def add(commands):
    """Add `serve` to the `data` commands."""
    about = "Decode and augment for `cspkeras train --data-service` on other machines, until it is stopped."
    parser = add_command(commands, "serve", run, about, "BCCD --address trainer.local:5000")
    add_data_path(parser)
    add_split(parser, "train")
    parser.add_argument(
        "--address",
        required=True,
        metavar="HOST:PORT",
        help="name of this machine as others see it, and a free port",
    )


def run(options):
    """Serve batches until the command is stopped."""
    from ...training.distribution.addresses import resolved

    resolved(options.address, "--address")
    from ...training.distribution.data_server import DataServer

    server = DataServer(read_data(options, options.split), options.address, log)
    log(f"serving at {options.address}")
    server.serve_forever()
