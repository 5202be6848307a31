"""The tables on what is read of files from anyone: the limits, and changed files by fuzz.json."""

import json

from file_tables import MEASURED

from cspkeras import limits as known

FAILURES = "crash", "hang", "traceback", "limit"


def limits():
    yield "at most", "of", "more by"
    for limit in (value for value in vars(known).values() if isinstance(value, known.Limit)):
        yield f"{limit.default:,}", limit.unit, f"`{limit.variable}`"


def fuzzed():
    yield "kind", "inputs", "seed", "read", "refused", "crashes", "hangs", "tracebacks", "over the limits", "slowest, s"
    for name, row in json.loads((MEASURED / "fuzz.json").read_text()).items():
        counts = (f"{row[key]:,}" for key in ("read", "refused", *FAILURES))
        yield f"`{name}`", f"{row['inputs']:,}", row["seed"], *counts, f"{row['slowest']:.1f}"
