"""The sub-command `benchmark`: how large and how fast .tflite files are."""

import json
from pathlib import Path

from .arguments import add_command, add_json, count


def add(commands):
    """Add `benchmark` to the sub-commands."""
    about = "Measure size, memory and latency of .tflite files on LiteRT's CPU, and list their slowest operations."
    parser = add_command(commands, "benchmark", run, about, "int8.tflite --threads 1 2")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="any .tflite file, not only cspkeras'")
    parser.add_argument("--threads", type=count, nargs="+", help="numbers of threads [1 and all cores]")
    parser.add_argument("--runs", type=count, default=50, help="timed runs for each [%(default)s]")
    parser.add_argument("--slowest", type=count, default=10, help="operations to list [%(default)s]")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for benchmark.json and benchmark.svg [none]")
    add_json(parser)


def run(options):
    """Measure each file, print its table, and write the results where a folder is given."""
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
