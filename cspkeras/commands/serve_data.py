"""The sub-command `serve`: training batches for other machines."""

from .reading import add_source, note, read_data


def add(commands):
    """Add `serve` to a group of sub-commands."""
    help = "Decode and augment for `cspkeras train --data-service` on other machines, until it is stopped."
    parser = commands.add_parser("serve", help=help, description=help)
    parser.set_defaults(run=_serve)
    add_source(parser)
    parser.add_argument("--split", default="train", help="part of a folder [%(default)s]")
    parser.add_argument(
        "--address",
        required=True,
        metavar="HOST:PORT",
        help="this machine's name to others, and the first of three free ports in a row",
    )


def _serve(options):
    from ..training.distribution.addresses import resolved

    resolved(options.address, "--address")
    from ..training.distribution.service import DataServer

    server = DataServer(read_data(options.data, options.split, images=options.images), options.address, note)
    note(f"serving at {options.address}")
    server.serve()
