"""The page's code in Node: images, numbers and raw boxes, beside Pillow, the TFLite runtime and the networks."""

import json
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from cell_detector import LABELS, networks, settings
from PIL import Image
from plain_boxes import CODED, SIZE

from cspkeras.detection.boxes import decode_boxes, decode_scores
from cspkeras.tflite.browser import server
from cspkeras.tflite.export.settings import decoding_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("node"), reason="no node, which runs the page's code"),
]
PAGE = Path(server.__file__).parent / "page"


def answer(module, expression):
    """What an expression gives with what a module of the page exports, `page`."""
    code = f"import * as page from {json.dumps((PAGE / module).as_uri())};\n"
    code += f"console.log(JSON.stringify({expression}));"
    run = subprocess.run(["node", "--input-type=module"], input=code, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    "size, wanted",
    [
        pytest.param((233, 131), (77, 43), id="smaller"),
        pytest.param((31, 17), (64, 40), id="larger"),
        pytest.param((90, 20), (7, 33), id="narrower and higher"),
        pytest.param((50, 24), (50, 9), id="one side alone"),
        pytest.param((40, 30), (1, 1), id="to a pixel"),
        pytest.param((1, 1), (5, 4), id="from a pixel"),
        pytest.param((12, 10), (12, 10), id="as it is"),
    ],
)
def test_the_page_resizes_as_pillow_does(size, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), np.uint8)
    pixels[: size[1] // 3] = 255  # the rounded weights' sum must not carry white over
    values = answer("resize.js", f"[...page.resize({pixels.ravel().tolist()}, {[*size]}, {[*wanted]})]")
    resized = np.reshape(values, (*wanted[::-1], 4))[:, :, :3]
    expected = Image.fromarray(pixels[:, :, :3]).resize(wanted, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized, np.asarray(expected))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_tensors_are_those_of_the_runtime(precision):
    content = networks()[precision]
    signature = Interpreter(model_content=content).get_signature_runner()
    expected = {
        name: {"type": np.dtype(tensor["dtype"]).name, "scale": pytest.approx(scale), "zeroPoint": zero_point}
        for name, tensor in {**signature.get_input_details(), **signature.get_output_details()}.items()
        for scale, zero_point in [tensor["quantization"]]
    }
    read = f"page.readTensors(Uint8Array.from({[*content]}))"
    assert answer("tensors.js", read) == expected


@pytest.mark.parametrize("claimed", [3, 2**32 - 1], ids=["beyond the end", "of any length"])
def test_a_damaged_network_is_named(claimed):
    """Its list of signatures claims to be longer than the file."""
    slots = struct.pack("<10H", 20, 8, *[0] * 7, 4)
    content = struct.pack("<I4s20siII", 28, b"TFL3", slots, 20, 4, claimed)
    read = f"(() => {{ try {{ page.readTensors(Uint8Array.from({[*content]})) }} catch (e) {{ return e.message }} }})()"
    assert answer("tensors.js", read) == "its network is damaged"


def test_settings_of_files_from_anyone(tmp_path):
    """The page takes no more of the archive after a network than the device's scripts, and says why."""
    told = json.dumps({"format": 1, **settings()}).encode()
    cases = {
        "whole": (told, "\n".join(LABELS).encode(), LABELS),
        "not JSON": (b"{", b"a", "its cspkeras settings are damaged"),
        "null": (b"null", b"a", "its settings say format: undefined; accepted here: 1"),
        "large": (told, bytes(1 << 25), "its settings or class names have 33554432 bytes; at most 16777216 are read"),
        "long": (told, b"a" * 1001, "a class name has 1001 characters; at most 1000 are accepted"),
        "cut": (told, b"a", "its cspkeras settings are damaged"),
    }
    for name, (about, labels, _) in cases.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("cspkeras.json", about)
            archive.writestr("labels.txt", labels)
        content = b"\x1c\0\0\0TFL3" + (tmp_path / name).read_bytes()
        if name == "cut":  # its directory, of 10^9 bytes
            content = content[:-10] + struct.pack("<I", 10**9) + content[-6:]
        (tmp_path / name).write_bytes(content)
    each = "(() => { try { return page.readSettings(readFileSync(file)).labels } catch (e) { return e.message } })()"
    files = json.dumps([str(tmp_path / name) for name in cases])
    read = f'await import("node:fs").then(({{readFileSync}}) => {files}.map((file) => {each}))'
    assert dict(zip(cases, answer("settings.js", read), strict=True)) == {name: case[2] for name, case in cases.items()}


@pytest.mark.parametrize("scale, zero_point", [(1 / 255, 0), (0.02, 100)])
def test_numbers_and_values(scale, zero_point):
    tensor = json.dumps({"type": "uint8", "scale": scale, "zeroPoint": zero_point})
    values = np.linspace(-3, 4, 50)
    expected = np.clip(np.round(values / scale) + zero_point, 0, 255)
    assert (
        answer("tensors.js", f"{values.tolist()}.map((value) => page.toNumber(value, {tensor}))") == expected.tolist()
    )
    back = answer("tensors.js", f"[...page.toValues(Uint8Array.from({expected.astype(int).tolist()}), {tensor})]")
    np.testing.assert_allclose(back, (expected - zero_point) * scale, atol=1e-6)


def test_raw_boxes_are_decoded_as_in_the_networks():
    rng, calls, expected = np.random.default_rng(0), [], []
    for anchors in CODED.values():
        count, classes = len(anchors.grid().origins), 2
        raw = rng.normal(0, 2, (1, count, 4)).astype("float32")
        raw[0, ::7, 2:] = 9  # beyond the exponential's limit
        logits = rng.normal(-1, 2, (1, count, classes + anchors.objectness)).astype("float32")
        scores = np.asarray(decode_scores(logits, anchors.objectness)[0])
        likely = 1 / (1 + np.exp(-logits[0, :, :1])) if anchors.objectness else scores.max(axis=-1, keepdims=True)
        assert 10 < (likely > 0.4).sum() < count - 10
        expected.append((np.asarray(decode_boxes(raw, anchors.grid())[0]) * (likely > 0.4), scores * (likely > 0.4)))
        given = ", ".join(f"Float32Array.from({array.ravel().tolist()})" for array in (raw, logits))
        calls.append(f"page.decode({given}, {classes}, {json.dumps(decoding_of(anchors))}, {[*SIZE[::-1]]}, 0.4)")
    older = [calls[0].replace('"coding": "yolo"', '"linear": false')]
    older += [calls[1].replace('"coding": "free"', '"linear": true')]
    plain = ".map((found) => Object.values(found).map((values) => [...values]))"
    found = answer("decode.js", f"[{', '.join([*calls, *older])}]{plain}")
    for (boxes, scores), (wanted_boxes, wanted_scores) in zip(found, [*expected, *expected[:2]], strict=True):
        np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), wanted_boxes, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.reshape(scores, (-1, 2)), wanted_scores, rtol=1e-5, atol=1e-7)


def test_levels_of_any_size_are_not_counted():
    level = {"stride": 1e-9, "scale_xy": 1, "anchors": [[1, 1]]}
    call = f"page.decode(new Float32Array(4), [0, 0], 1, {json.dumps({'levels': [level]})}, [8, 8], 0)"
    message = answer("decode.js", f"(() => {{ try {{ {call} }} catch (e) {{ return e.message }} }})()")
    assert message.startswith("has 1 boxes; its settings tell of ")


def test_an_unknown_coding_is_named():
    call = 'page.decode(new Float32Array(4), [0], 1, {coding: "polar", levels: []}, [8, 8], 0)'
    message = "has boxes of the coding polar; known are yolo, free, scaled, distances, log_distances"
    assert answer("decode.js", f"(() => {{ try {{ {call} }} catch (e) {{ return e.message }} }})()") == message
