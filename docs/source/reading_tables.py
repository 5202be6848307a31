"""The tables on files from anyone, and on faults: the limits, changed files by fuzz.json, faults.json."""

import json

from file_tables import MEASURED

from cspkeras import limits as known

FAILURES = "crash", "hang", "traceback", "limit"


def limits():
    yield "at most", "of", "more by"
    for limit in (value for value in vars(known).values() if isinstance(value, known.Limit)):
        yield f"{limit.default:,}", limit.unit, f"`{limit.variable}`"


def fuzzed():
    heads = "kind", "inputs", "seed", "read", "refused", "crashes", "hangs", "tracebacks", "over the limits"
    yield *heads, "slowest, s", "inputs per second"
    rows = json.loads((MEASURED / "fuzz.json").read_text())
    for name, row in rows.items():
        counts = (f"{row[key]:,}" for key in ("read", "refused", *FAILURES))
        speed = f"{row['inputs'] / row['processor']:,.0f}"
        yield f"`{name}`", f"{row['inputs']:,}", row["seed"], *counts, f"{row['slowest']:.1f}", speed
    inputs, *sums = (f"{sum(row[key] for row in rows.values()):,}" for key in ("inputs", "read", "refused", *FAILURES))
    yield "all", inputs, None, *sums, f"{max(row['slowest'] for row in rows.values()):.1f}", None


def faults():
    heads = "command", "seconds", "whole after `kill -9`", "a line after SIGTERM or Ctrl-C"
    yield *heads, "on a full disk", "with its temporary files on one"
    measured = json.loads((MEASURED / "faults.json").read_text())
    kills, ends = measured["kills"], measured["ends"]
    for name, row in measured["commands"].items():
        disks = (f"`{end}`" if end.startswith("cspkeras: ") else end for end in row["full_disk"].values())
        counts = f"{row['whole']} of {kills}", f"{row['ended']} of {ends}"
        yield f"`{name}`", f"{row['seconds']:.0f}", *counts, *disks
