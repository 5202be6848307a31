"""The sub-commands about finished .tflite files: how fast they are, and a page that runs one."""

import argparse
import json
from pathlib import Path


def add(commands, count):
    """Add them to the group of sub-commands; `count` reads an option that is a positive number."""
    help = "Size, memory and latency of .tflite files on LiteRT's CPU, and their slowest operations."
    parser = commands.add_parser("benchmark", help=help, description=help)
    parser.set_defaults(run=_benchmark)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a .tflite file of anyone's making")
    parser.add_argument("--threads", type=count, nargs="+", help="numbers of threads [1 and all cores]")
    parser.add_argument("--runs", type=count, default=50, help="timed runs for each [%(default)s]")
    parser.add_argument("--slowest", type=count, default=10, help="operations to list [%(default)s]")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for benchmark.json and benchmark.svg [none]")
    parser.add_argument("--json", action="store_true", help="print JSON")

    help = "A page on this computer that runs a .tflite detector in the browser, on images or the camera."
    parser = commands.add_parser("serve", help=help, description=help)
    parser.set_defaults(run=_serve)
    parser.add_argument("file", type=Path, help="a detector's .tflite, written by cspkeras")
    parser.add_argument("--port", type=_port, default=8000, help="0 for any [%(default)s]")
    parser.add_argument(
        "--litert",
        type=Path,
        metavar="FOLDER",
        help="node_modules/@litertjs of `npm install @litertjs/core` [LiteRT.js from a public network]",
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images for ?image=images/NAME [none]")


def _port(text):
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, received {text}")
    return value


def _benchmark(options):
    from ..tflite.proof.benchmark import benchmark

    results = []
    for file in options.files:
        results.append(benchmark(file, options.threads, options.runs))
        if not options.json:
            print(results[-1].table(options.slowest), end="\n\n", flush=True)
    text = json.dumps([result.to_json() for result in results], indent=1)
    if options.json:
        print(text)
    if options.output:
        _write(options.output, results, text, options.slowest)


def _write(folder, results, text, slowest):
    from ..files import replacing
    from ..reports.bar_chart import bar_chart

    latencies = []
    for result in results:
        for one in result.latencies:
            name = f"{Path(result.path).name}, {one.threads} thread{'s' * (one.threads > 1)}"
            latencies.append((name, one.median_ms, one.p90_ms, f"{one.median_ms:.2f} ms"))
    groups = [("Latency: median, and 90th percentile", latencies)]
    for result in results:
        bars = [
            (_bar(one), one.milliseconds, 0.0, f"{one.milliseconds:.2f} ms, {share:.0%}")
            for one, share in result.slowest(slowest)
        ]
        groups.append((f"Slowest operations of {Path(result.path).name}", bars))
    for name, content in (("benchmark.json", text), ("benchmark.svg", bar_chart(groups))):
        with replacing(folder / name) as aside:
            aside.write_text(content, encoding="utf-8")
    print(f"written: {folder / 'benchmark.json'}, {folder / 'benchmark.svg'}")


def _bar(operation):
    weighted = operation.layer and not operation.layer.startswith("after ")
    return operation.layer if weighted else f"{operation.kernel} {operation.layer}".strip()


def _serve(options):
    from ..tflite.browser.server import make_server

    with make_server(options.file, options.port, options.litert, options.images) as server:
        print(f"http://127.0.0.1:{server.server_port}/ runs {options.file}; Ctrl-C ends it", flush=True)
        server.serve_forever()
