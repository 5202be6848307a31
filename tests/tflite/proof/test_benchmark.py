"""Size, memory, latency and profile of .tflite files."""

import json
from xml.etree import ElementTree

import cell_detector
import pytest
from small_networks import shallow_detector

from cspkeras.commands.main import main
from cspkeras.reports.bar_chart import bar_chart
from cspkeras.tflite import benchmark, convert
from cspkeras.tflite.proof import benchmark as benchmark_file
from cspkeras.tflite.proof.benchmark import _named
from cspkeras.tflite.runtime import profiler
from cspkeras.tflite.runtime.graph import WEIGHTED, Operation, Tensor
from cspkeras.tflite.runtime.litert import LiteRTError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return cell_detector.write(tmp_path_factory.mktemp("cells") / "cells.tflite")


@pytest.fixture(scope="module")
def measured(cells):
    return benchmark(cells, threads=(1,), runs=5)


@pytest.mark.integration
def test_what_is_measured(measured, cells):
    assert (measured.precision, measured.size_bytes) == ("float32", cells.stat().st_size)
    (latency,) = measured.latencies
    assert 0 < latency.median_ms <= latency.p90_ms
    assert latency.memory_bytes > 0
    # The image alone takes 64 * 96 * 3 floats; all that lies between its operations is smaller.
    assert 4 * 64 * 96 * 3 < measured.arena_bytes < 2 * 4 * 64 * 96 * 3


@pytest.mark.integration
def test_the_profile_has_every_operation(measured):
    assert not measured.note
    kernels = [operation.kernel for operation in measured.operations]
    assert any(kernel.startswith("Average Pooling") for kernel in kernels), kernels
    assert all(operation.milliseconds >= 0 for operation in measured.operations)
    assert sum(share for _, _, _, share in measured.kernels()) == pytest.approx(1)
    slowest = measured.slowest(3)
    assert [one.milliseconds for one, _ in slowest] == sorted(o.milliseconds for o in measured.operations)[:-4:-1]


def made(kind, name):
    return Operation(kind, (), (Tensor(0, name, "float32", (1,), False),))


def test_operations_are_named_by_the_layers_with_weights():
    profiled = [("Convert (NC)", 1.0, True), ("Convolution (NHWC, QC8) IGEMM", 2.0, True), ("MAXIMUM", 3.0, False)]
    file = [
        made("QUANTIZE", "q"),
        made("CONV_2D", "model/stem_conv/Conv2D;model/stem_bn"),
        made("MAXIMUM", "model/sam/max"),
    ]
    assert [one.layer for one in _named(profiled, file)] == ["", "stem_conv", "after stem_conv"]
    assert [one.layer for one in _named(profiled, [*file, made("FULLY_CONNECTED", "model/top/MatMul")])] == ["", "", ""]
    assert made("ADD", "plain").layer == "plain"


@pytest.mark.slow
def test_a_detectors_layers_are_named(tmp_path):
    model = shallow_detector()
    measured = benchmark(convert(model, tmp_path / "model.tflite"), threads=(1, 2), runs=3)
    assert [one.threads for one in measured.latencies] == [1, 2]
    layers = {operation.layer for operation in measured.operations} - {""}
    names = {layer.name for layer in model.layers}
    # The converter numbers the parts of the network inside, such as stem_conv1_1.
    known = {layer for layer in layers if layer in names or layer.rpartition("_")[0] in names}
    assert len(known) > 20, layers
    assert not any(kernel in WEIGHTED for kernel, _, _, _ in measured.kernels())  # XNNPACK has them all


@pytest.mark.integration
def test_the_command(cells, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["benchmark", str(cells), "--threads", "1", "--runs", "3", "--output", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "cells.tflite: float32" in text and "Average Pooling" in text
    (result,) = json.loads((folder / "benchmark.json").read_text())
    assert result["latencies"][0]["threads"] == 1
    chart = ElementTree.parse(folder / "benchmark.svg").getroot()
    assert "cells.tflite, 1 thread" in {text.text for text in chart.iter(f"{SVG}text")}


def test_bars_have_their_values_lengths():
    chart = ElementTree.fromstring(bar_chart([("a < b", [("one", 2.0, 4.0, "2 ms"), ("two", 1.0, 0.0, "1 ms")])]))
    first, second = (float(bar.get("width")) for bar in chart.iter(f"{SVG}rect") if bar.get("class") == "bar")
    assert first == pytest.approx(2 * second, abs=0.2)
    assert [text.text for text in chart.iter(f"{SVG}text")][0] == "a < b"


@pytest.mark.integration
@pytest.mark.parametrize("name, words", [("empty", "an empty file"), ("text", "not a .tflite"), ("bare", "cannot run")])
def test_a_broken_file_is_an_error_of_one_line(models, one_error, name, words):
    line = one_error("benchmark", models / f"{name}.tflite")
    assert words in line and f"{name}.tflite" in line


@pytest.mark.integration
def test_without_a_profile_the_note_says_why(cells, monkeypatch):
    measure = benchmark_file._measure

    def fails(mode, *arguments):
        if mode == "profile":
            raise LiteRTError("no profiler here")
        return measure(mode, *arguments)

    monkeypatch.setattr(benchmark_file, "_measure", fails)
    measured = benchmark(cells, threads=(1,), runs=3)
    assert measured.operations == [] and measured.latencies[0].median_ms > 0
    assert measured.table().splitlines()[-1] == measured.note == "no profile: no profiler here"


def test_an_unknown_release_of_litert_is_not_profiled(cells, monkeypatch):
    monkeypatch.setattr(profiler, "version", lambda name: "2.9.1")
    with pytest.raises(RuntimeError, match=r"can be timed with ai-edge-litert 2\.3; installed is 2\.9\.1"):
        profiler.profile(str(cells), "", "1", "1")


def test_numbers_that_cannot_be(cells):
    with pytest.raises(ValueError, match="at least 1, received threads"):
        benchmark(cells, threads=(0,))
