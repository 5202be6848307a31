"""What a file computes in floats, its precision and its multiply-adds: of graphs written by hand, and of files."""

import io
import zipfile

import keras
import pytest
from small_networks import small_backbone

from cspkeras.analysis import complexity
from cspkeras.tflite import check
from cspkeras.tflite.export import metadata
from cspkeras.tflite.proof.floats import count_floats, float_faults
from cspkeras.tflite.runtime.graph import Graph, Operation, Tensor
from cspkeras.tflite.runtime.litert import read_graph

# A tensor's type, and whether its integers have a scale, by its name's first letter.
TYPES = {"f": ("float32", False), "h": ("float16", False), "i": ("int8", True), "s": ("int16", True)}
TYPES |= {"p": ("uint8", False), "n": ("int32", False)}
END = "DEQUANTIZE i9 > f1", "EXP f1 > f2", "MUL f2 f1 > f3"


def graph(*rows):
    """A `Graph` of rows "KIND what it reads > what it makes", of which the first reads the graph's input."""
    parts = [(kind, reads, made) for kind, *reads, _, made in map(str.split, rows)]
    indices = {name: i for i, name in enumerate(sorted({x for _, reads, made in parts for x in (*reads, made)}))}
    tensors = {
        i: (f"net/layer_{name}/op", TYPES[name[0]][0], [1, 4, 4, 8], TYPES[name[0]][1]) for name, i in indices.items()
    }
    operations = [(kind, [indices[x] for x in reads], [indices[made]]) for kind, reads, made in parts]
    return Graph.from_json({"operations": operations, "tensors": tensors, "inputs": [indices[parts[0][1][0]]]})


GRAPHS = {  # the operations; the precision, those in floats inside, the number at the end
    "float32": (["CONV_2D f0 f8 > f9"], "float32", [], 1),
    "float16": (["CONV_2D f0 f8 > f9", "DEQUANTIZE h0 > f8"], "float16", [], 1),
    "dynamic": (["CONV_2D f0 i8 > f9"], "dynamic", [], 1),
    "pixels": (["RESHAPE p0 > p1", "CAST p1 > f1", "CONV_2D f1 f8 > f9"], "float32", [], 2),
    "int8": (["QUANTIZE f0 > i0", "CONV_2D i0 i8 > i9", "DEQUANTIZE i9 > f9"], "int8", [], 0),
    "int16x8": (["CONV_2D s0 i8 > s1", "ADD s1 s0 > s2"], "int16x8", [], 0),
    "end": (["CONV_2D i0 i8 > i9", *END], "int8", [], 2),
    "end, quantized": (["CONV_2D i0 i8 > i9", *END, "QUANTIZE f3 > i3"], "int8", [], 2),
    "index at the end": (["CONV_2D i0 i8 > i9", *END, "ARG_MAX f3 > n3"], "int8", [], 2),
    "start": (["MUL f0 f8 > f1", "QUANTIZE f1 > i1", "ADD i1 i1 > i2"], "int8", ["MUL (layer_f1)"], 0),
    "inside": (
        ["ADD i0 i0 > i9", *END, "QUANTIZE f3 > i3", "ADD i3 i3 > i4"],
        "int8",
        ["EXP (layer_f2)", "MUL (layer_f3)"],
        0,
    ),
    "two branches": (
        ["ADD i0 i0 > i9", *END, "QUANTIZE f2 > i2", "ADD i2 i2 > i4"],
        "int8",
        ["EXP (layer_f2)"],
        1,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_in_floats(name):
    rows, precision, inside, end = GRAPHS[name]
    found = graph(*rows)
    floats = count_floats(found, {})
    assert (found.precision(), floats.inside) == (precision, inside)
    assert (floats.operations, floats.all_operations) == (len(inside) + end, len(rows))


SHAPES = {  # of what is read, of what is made, and the multiply-adds
    "CONV_2D": ([(1, 9, 9, 6), (16, 3, 3, 6), (16,)], (1, 4, 4, 16), 4 * 4 * 16 * 54),
    "CONV_2D in groups": ([(1, 9, 9, 6), (16, 3, 3, 2), (16,)], (1, 4, 4, 16), 4 * 4 * 16 * 18),
    "DEPTHWISE_CONV_2D": ([(1, 9, 9, 6), (1, 3, 3, 12), (12,)], (1, 7, 7, 12), 7 * 7 * 12 * 9),
    "TRANSPOSE_CONV": ([(4,), (5, 2, 2, 6), (1, 4, 4, 6)], (1, 8, 8, 5), 8 * 8 * 5 * 6),  # without overlaps
    "CONV_3D": ([(1, 4, 4, 4, 2), (2, 2, 2, 2, 5)], (1, 3, 3, 3, 5), 27 * 5 * 16),
    "FULLY_CONNECTED": ([(7, 20), (3, 20)], (7, 3), 7 * 3 * 20),
    "BATCH_MATMUL": ([(2, 3, 5), (2, 5, 7)], (2, 3, 7), 2 * 3 * 5 * 7),
    "BATCH_MATMUL turned": ([(2, 5, 3), (2, 5, 7)], (2, 3, 7), 2 * 3 * 5 * 7),
    "ADD": ([(1, 9), (1, 9)], (1, 9), 0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_multiply_adds(name):
    reads, made, expected = SHAPES[name]
    tensors = [Tensor(i, "", "float32", shape, False) for i, shape in enumerate((*reads, made))]
    assert Operation(name.split()[0], tuple(tensors[:-1]), (tensors[-1],)).multiply_adds == expected


INSIDE, WHOLE = graph(*GRAPHS["inside"][0]), graph(*GRAPHS["float32"][0])
DENSE = graph("ADD i0 i0 > i9", "DEQUANTIZE i9 > f1", "CONV_2D f1 f8 > f9")
FAULTS = {  # the graph, the settings, what is said
    "inside": (
        INSIDE,
        {"precision": "int8"},
        ["inside this int8 file 2 operations are in floats: EXP (layer_f2), MUL"],
    ),
    "inside a stranger's": (INSIDE, {}, ["inside this int8 file"]),
    "it was said": (INSIDE, {"precision": "int8", "float_layers": ["b"]}, []),
    "called int8": (WHOLE, {"precision": "int8"}, ["its settings call it int8, but no operation computes in integers"]),
    "called float32": (WHOLE, {"precision": "float32"}, []),
    "the weights of the end": (DENSE, {}, ["100% of this int8 file's multiply-adds are in floats"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    found, settings, words = FAULTS[name]
    faults = float_faults(count_floats(found, settings), found.precision(), settings.get("precision"))
    assert len(faults) == len(words)
    assert all(part in fault for part, fault in zip(words, faults, strict=True)), faults


def test_a_line_lists_the_most_frequent():
    rows = [row for i in range(7) for row in (f"EXP f{i} > f{i + 1}",) * (1 + (i == 3))]
    (fault,) = float_faults(count_floats(graph(*rows, "QUANTIZE f7 > i7", "ADD i7 i7 > i8"), {}), "int8", "int8")
    assert "8 operations are in floats: 2 x EXP (layer_f4), " in fault and fault.endswith("2 others")


@pytest.mark.integration
def test_multiply_adds_of_a_file_are_those_of_the_model(tmp_path):
    model, path = small_backbone("CSPPeleeNet"), str(tmp_path / "model.tflite")
    spec = keras.InputSpec(shape=(1, 64, 64, 3), dtype="float32", name="image")
    model.export(path, format="litert", verbose=False, input_signature=[spec])
    found = read_graph(path)
    bflops = sum(layer.bflops for layer in complexity(model).each if layer.weights)
    assert 2e-9 * sum(operation.multiply_adds for operation in found.operations) == pytest.approx(bflops, rel=1e-6)


@pytest.mark.integration
def test_a_file_of_integers(integers):
    found = check(integers, runs=1)
    assert found.passed and found.precision == "int8", found.table()
    # 3x3x3 to 8 channels of 7x7, 3x3 on each of 5x5, and 8 to 4.
    assert found.floats.all_multiply_adds == 49 * 8 * 27 + 25 * 8 * 9 + 8 * 4
    assert "0 of 4 operations, 0.0% of 12,416 multiply-adds" in found.table()
    assert found.to_json()["floats"]["inside"] == []


@pytest.mark.integration
def test_what_the_settings_call_it(several, integers, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(metadata.attach((several / "float32.tflite").read_bytes(), {"precision": "int8"}, []))
    assert "floats: its settings call it int8" in check(path, runs=1).faults[0]
    damaged = io.BytesIO(integers.read_bytes())
    with zipfile.ZipFile(damaged, "a") as archive:
        archive.writestr(metadata.SETTINGS_ENTRY, "{")
        archive.writestr(metadata.LABELS_ENTRY, "")
    path.write_bytes(damaged.getvalue())
    (fault,) = check(path, runs=1).faults
    assert fault.startswith("settings: ") and "damaged" in fault
