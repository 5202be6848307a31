"""Convert a .tflite file's bytes to TFLite's objects, and back."""

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema


class Builder(flatbuffers.Builder):
    """A builder that aligns buffers to 16 bytes, as TFLite's schema requires, and writes equal arrays once.

    A quantized file has a zero point of eight bytes for each channel of each kernel and bias, all of them 0.
    """

    def __init__(self, size):
        super().__init__(size)
        self._written = {}

    def StartVector(self, elemSize, numElems, alignment):
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

    def CreateNumpyVector(self, x):
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def unpack(content):
    """Unpack the bytes of a .tflite file into a `schema.ModelT`."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def pack(model):
    """Pack a `schema.ModelT` into the bytes of a .tflite file, without buffers that nothing refers to."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
    builder = Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def shorten_names(model):
    """Shorten each tensor's name to the first of the operations that it lists, which were fused into one."""
    for graph in model.subgraphs:
        for index, tensor in enumerate(graph.tensors):
            if index not in graph.inputs and index not in graph.outputs:
                tensor.name = tensor.name.split(b";")[0]


def operator_kind(model, operator):
    """Return an operator's kind, one of `schema.BuiltinOperator`."""
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)  # files before 2020 have only the latter
