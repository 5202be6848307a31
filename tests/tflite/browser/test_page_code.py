"""The page's code in Node: images, numbers and raw boxes, beside Pillow, the TFLite runtime and the networks."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from cell_detector import networks
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


def test_a_damaged_network_is_named():
    read = "(() => { try { page.readTensors(new Uint8Array(100)) } catch (e) { return e.message } })()"
    assert answer("tensors.js", read) == "its network is damaged"


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


def test_an_unknown_coding_is_named():
    call = 'page.decode(new Float32Array(4), [0], 1, {coding: "polar", levels: []}, [8, 8], 0)'
    message = "has boxes of the coding polar; known are yolo, free, scaled, distances, log_distances"
    assert answer("decode.js", f"(() => {{ try {{ {call} }} catch (e) {{ return e.message }} }})()") == message
