// What a .tflite file says of its inputs' and outputs' numbers, which LiteRT.js does not tell.

const TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 7: "int16", 9: "int8"}; // by the schema's TensorType
const REPEATED = 4; // as in device/flatbuffer.py
// The slots of tables' fields, by the schema.
const MODEL = {subgraphs: 2, signatures: 7}, SIGNATURE = {inputs: 0, outputs: 1, subgraph: 4}, NAMED = {name: 0, tensor: 1};
const SUBGRAPH = {tensors: 0}, TENSOR = {type: 1, quantization: 4}, QUANTIZATION = {scale: 2, zeroPoint: 3};

/**
 * {name: {type, scale, zeroPoint}} of the inputs and outputs of a file's (a Uint8Array's) first signature.
 * A value is (number - zeroPoint) * scale, or the number itself where scale is 0.
 */
export function readTensors(bytes) {
  try {
    return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    throw new Error("its network is damaged");
  }
}

function read(view) {
  let left = REPEATED * view.byteLength; // bytes of lists, which tables may share
  const target = (at) => at + view.getUint32(at, true);
  /** Where a table has a field; 0 where it has none. */
  const field = (table, slot) => {
    const slots = table - view.getInt32(table, true);
    const offset = 4 + 2 * slot < view.getUint16(slots, true) ? view.getUint16(slots + 4 + 2 * slot, true) : 0;
    return offset && table + offset;
  };
  /** Where the elements of a field's list are, `size` bytes each. */
  const list = (table, slot, size) => {
    const at = field(table, slot) && target(field(table, slot)), length = at && view.getUint32(at, true);
    left -= size * length;
    if (left < 0) throw new Error("a list reaches beyond the end");
    return Array.from({length}, (_, i) => at + 4 + i * size);
  };
  const tables = (table, slot) => list(table, slot, 4).map(target);
  const number = (table, slot) => (field(table, slot) ? view.getUint32(field(table, slot), true) : 0);

  const model = target(0);
  const [signature] = tables(model, MODEL.signatures);
  if (!signature) throw new Error("no signature");
  const tensors = tables(tables(model, MODEL.subgraphs)[number(signature, SIGNATURE.subgraph)], SUBGRAPH.tensors);
  const names = [...tables(signature, SIGNATURE.inputs), ...tables(signature, SIGNATURE.outputs)];
  return Object.fromEntries(names.map((named) => {
    const name = String.fromCharCode(...list(named, NAMED.name, 1).map((at) => view.getUint8(at)));
    const tensor = tensors[number(named, NAMED.tensor)];
    const type = field(tensor, TENSOR.type) ? view.getUint8(field(tensor, TENSOR.type)) : 0;
    const found = {type: TYPES[type] ?? `of type ${type}`, scale: 0, zeroPoint: 0};
    if (field(tensor, TENSOR.quantization)) {
      const quantization = target(field(tensor, TENSOR.quantization));
      for (const at of list(quantization, QUANTIZATION.scale, 4)) found.scale = view.getFloat32(at, true);
      for (const at of list(quantization, QUANTIZATION.zeroPoint, 8)) found.zeroPoint = view.getInt32(at, true);
    }
    return [name, found];
  }));
}

/** The number that stands for a value, in a tensor of floats or of bytes without a sign. */
export function toNumber(value, {type, scale, zeroPoint}) {
  if (type === "float32") return value;
  return Math.min(Math.max(Math.round(value / (scale || 1)) + zeroPoint, 0), 255);
}

/** The values that a tensor's numbers stand for: a Float32Array. */
export function toValues(numbers, {scale, zeroPoint}) {
  return scale ? Float32Array.from(numbers, (number) => (number - zeroPoint) * scale) : numbers;
}
