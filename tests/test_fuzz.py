"""Files changed at random, of every kind: a result or one line that names the file. And the fuzzer itself."""

import sys
from pathlib import Path

import fuzz
import fuzz_faults
import pytest

MODELS, DATA = fuzz.kinds(["fuzz_models"]), fuzz.kinds(["fuzz_data"])
KINDS = MODELS | DATA
INPUTS = dict.fromkeys(DATA, 8) | {
    "image": 60,
    "keras": 5,
    "weights.h5": 10,
    "state.npz": 15,
    "bundled.npz": 15,
    "cfg": 40,
    "weights": 40,
    "onnx": 15,
}
SEED = 1


@pytest.mark.integration
@pytest.mark.parametrize("name", KINDS)
def test_changed_files_are_read_or_told_in_one_line(name, tmp_path):
    kind, counts = KINDS[name], dict.fromkeys(("read", "refused"), 0)
    files = fuzz.whole_files(kind, tmp_path)
    for file in {Path(file).parts[0]: file for file in files}.values():
        assert fuzz.outcome(kind.read, tmp_path, tmp_path / file)[:2] == ("read", "") or name == "cfg"
    for number in range(INPUTS.get(name, 200)):
        file, content = fuzz.made_input(kind, name, files, SEED, number)
        (tmp_path / file).write_bytes(content)
        found, said, _ = fuzz.outcome(kind.read, tmp_path, tmp_path / file)
        assert found in counts, (number, said)
        assert found == "read" or str(tmp_path / file if name in MODELS else tmp_path) in said, (number, said)
        counts[found] += 1
        (tmp_path / file).write_bytes(files[file])
    assert counts["read"] and (counts["refused"] or name in DATA), counts


@pytest.mark.integration
@pytest.mark.parametrize("name", fuzz_faults.KINDS)
def test_the_fuzzer_counts_each_failure_and_goes_on(name, tmp_path):
    options = dict(seconds=1, modules=["fuzz_faults"], keep=tmp_path / "kept")
    rows = {}
    assert list(fuzz.run_kinds([name], rows, 0, 4, **options)) == list(fuzz.run_kinds([name], rows, 0, 6, **options))
    row = rows[name]
    found = {"lines": "traceback"}.get(name, name)
    contents = [fuzz.made_input(fuzz_faults.KINDS[name], name, {"x.bin": b"whole"}, 0, i)[1] for i in range(6)]
    assert row[found] == contents.count(b"fail") > 0 and row["read"] == contents.count(b"whole")
    assert sum(row[key] for key in ("read", "refused", *fuzz.FAILURES)) == row["inputs"] == 6
    first = contents.index(b"fail")
    assert row["failures"][0][:2] == [first, found]
    assert (tmp_path / "kept" / f"{name}-0-{first}-x.bin").read_bytes() == b"fail"


@pytest.mark.integration
def test_a_kind_is_read_for_a_time(tmp_path):
    rows, options = {}, dict(modules=["fuzz_faults"], processor=0.05)
    assert list(fuzz.run_kinds(["lines"], rows, 0, sys.maxsize, **options)) == ["lines"]
    inputs = rows["lines"]["inputs"]
    assert rows["lines"]["processor"] >= 0.05 and inputs > 1
    list(fuzz.run_kinds(["lines"], rows, 0, sys.maxsize, **options))  # which is over
    assert rows["lines"]["inputs"] == inputs
