"""The files that device.py measures: our networks as .tflite, and the first as .onnx and for ncnn as well.

All come from the same Keras model with the same weights, as initialized: speed does not depend on them. The .onnx is
tf2onnx's, the quantized one ONNX Runtime's static QDQ, with a scale per channel, int8 weights and uint8 activations, as
its documentation advises for x86. A file that exists is not made again.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

CLASSIFIER = "CSPResNet50"
NETWORKS = {CLASSIFIER: 256, "CSPPeleeNetEFM": 320, "YOLOXNano": 416}  # the input's side
PRECISIONS = {CLASSIFIER: ("float32", "dynamic", "int8")}  # of the others int8 alone


def names(folder, network):
    """Return {(runtime, precision): path} of a network's files."""
    stem = Path(folder) / f"{network}_{NETWORKS[network]}"
    files = {("LiteRT", p): Path(f"{stem}_{p}.tflite") for p in PRECISIONS.get(network, ("int8",))}
    if network == CLASSIFIER:
        onnx = Path(f"{stem}.onnx")
        files |= {("ONNX Runtime", "float32"): onnx, ("ONNX Runtime", "int8"): Path(f"{stem}_int8.onnx")}
        files |= {("ncnn", "float32"): Path(f"{stem}.ncnn.param"), ("OpenCV DNN", "float32"): onnx}
    return files


def make(folder, network):
    """Make what is missing; return {(runtime, precision): why it could not be made}."""
    files, failed = names(folder, network), {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    model = None
    for key, path in files.items():
        if path.exists():
            continue
        model = model or _build(network)
        try:
            _make(key, path, model, files)
        except ModuleNotFoundError as e:
            failed[key] = f"not installed: {e.name}"
        except Exception as e:  # a converter's release may break in any way; the other rows are still of use
            failed[key] = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
    return failed


def _build(network):
    import keras

    import cspkeras

    keras.utils.set_random_seed(0)
    return getattr(cspkeras, network)(input_shape=(NETWORKS[network], NETWORKS[network], 3))


def _noise(shape, count=4):
    return [np.random.default_rng(i).random(shape, dtype=np.float32) for i in range(count)]


def _make(key, path, model, files):
    runtime, precision = key
    if runtime == "LiteRT":
        from cspkeras.tflite import convert

        convert(model, path, precision, _noise((1, *model.input_shape[1:])) if precision == "int8" else None)
    elif runtime == "ncnn":
        _to_ncnn(files["ONNX Runtime", "float32"], path)
    elif precision == "int8":
        _quantize(files["ONNX Runtime", "float32"], path)
    else:
        _to_onnx(model, path)


def _to_onnx(model, path):
    import tensorflow as tf
    import tf2onnx

    shape = (1, *model.input_shape[1:])
    serve = tf.function(lambda image: {"output": model(image, training=False)})
    signature = [tf.TensorSpec(shape, tf.float32, "image")]
    tf2onnx.convert.from_function(
        serve, input_signature=signature, opset=18, inputs_as_nchw=["image"], output_path=str(path)
    )


def _quantize(onnx, path):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = path.with_suffix(".ready.onnx")
    quant_pre_process(str(onnx), str(ready), skip_symbolic_shape=True)
    side = int(onnx.stem.split("_")[1])
    images = iter([{"image": image} for image in _noise((1, 3, side, side))])

    class Images(quantization.CalibrationDataReader):
        def get_next(self):
            return next(images, None)

    quantization.quantize_static(
        str(ready),
        str(path),
        Images(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    ready.unlink()


def _to_ncnn(onnx, path):
    pnnx = shutil.which("pnnx")
    if not pnnx:
        raise ModuleNotFoundError("pnnx", name="pnnx")
    side = onnx.stem.split("_")[1]
    options = [f"inputshape=[1,3,{side},{side}]", "fp16=0", f"ncnnparam={path}", f"ncnnbin={path.with_suffix('.bin')}"]
    command = [pnnx, str(onnx), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, timeout=600)
    if done.returncode or not path.exists():
        raise RuntimeError(f"pnnx ends with {done.returncode}")
    # pnnx leaves ONNX's Pad as it is. The one here puts 64 channels of zeros after Darknet's narrow shortcut.
    path.write_text(re.sub(r"^Pad( .*)$", r"Padding\1 8=64", path.read_text(), flags=re.M))
    for other in path.parent.glob(f"{onnx.stem}[._]pnnx*"):
        other.unlink()
