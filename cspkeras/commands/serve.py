"""The sub-command `serve`: a page that runs a detector's file in the browser."""

from contextlib import contextmanager
from pathlib import Path

from .arguments import add_command, add_weights, port


def add(commands):
    """Add `serve` to the sub-commands."""
    about = "Serve a page on this computer that runs a .tflite detector in the browser, on images or the camera."
    parser = add_command(commands, "serve", run, about, "int8.tflite")
    parser.add_argument("file", type=Path, help="a detector's .tflite file, written by cspkeras, or a network")
    add_weights(parser)
    parser.add_argument("--port", type=port, default=8000, help="0 for any free port [%(default)s]")
    parser.add_argument(
        "--litert",
        type=Path,
        metavar="FOLDER",
        help="node_modules/@litertjs of `npm install @litertjs/core` [LiteRT.js from a public network]",
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images for ?image=images/NAME [none]")


def run(options):
    """Serve the page until the command is stopped."""
    from ..tflite.browser.server import make_server

    with _file(options) as file, make_server(file, options.port, options.litert, options.images) as server:
        print(f"http://127.0.0.1:{server.server_port}/ runs {options.file}; Ctrl-C ends it", flush=True)
        server.serve_forever()


@contextmanager
def _file(options):
    """Yield the file to serve, for a network by name one that is made for the time."""
    if not options.weights:
        yield options.file
        return
    from ..files import scratch
    from ..registry import DETECTOR, network
    from ..saving import load_model
    from ..tflite.export.convert import convert

    network(str(options.file), DETECTOR, "FILE")  # an error for a classifier, before its weights are fetched
    with scratch() as folder:
        model = load_model(options.file, "a detector", options.weights)
        yield convert(model, Path(folder, f"{options.file.name}.tflite"), "float16")
