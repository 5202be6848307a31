"""The sub-command `data serve`: training batches for other machines."""

import secrets

from ..arguments import add_command, add_data_path, add_split, add_token
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
    add_token(parser, "that clients have to know; without any one is made and shown")


def run(options):
    """Serve batches until the command is stopped."""
    from ...training.distribution.addresses import resolved
    from ...training.distribution.tokens import VARIABLE, token_of

    resolved(options.address, "--address")
    token = token_of(options.token)
    from ...training.distribution.data_server import DataServer

    made = token or secrets.token_urlsafe()
    with DataServer(read_data(options, options.split), options.address, made, log) as server:
        log(f"serving at {options.address}{'' if token else f'; for clients: export {VARIABLE}={made}'}")
        server.serve_forever()
