// What cspkeras wrote after the network in a .tflite file: how it is used, and the names of its classes.

const ACCEPTED = {format: [1], task: ["detection"], boxes: ["cyxhw", "raw"], colors: ["RGB"], resize: ["letterbox", "stretch"]};
const LARGEST = 1 << 24, LONGEST = 1000; // bytes of settings or of class names, characters of a name: as in device/

/** {settings, labels} in the zip archive after the network. */
export function readSettings(bytes) {
  if (text(bytes.subarray(4, 8)) !== "TFL3") throw new Error("not a .tflite file");
  const entries = orDamaged(() => unzip(bytes)), parts = ["cspkeras.json", "labels.txt"].map((name) => entries[name]);
  if (parts.includes(undefined)) throw new Error("carries no cspkeras settings; export it with cspkeras export");
  for (const {length} of parts)
    if (length > LARGEST) throw new Error(`its settings or class names have ${length} bytes; at most ${LARGEST} are read`);
  const settings = orDamaged(() => JSON.parse(text(parts[0])));
  for (const [key, choices] of Object.entries(ACCEPTED)) {
    const given = settings?.[key] ?? settings?.input?.[key];
    if (!choices.includes(given)) throw new Error(`its settings say ${key}: ${given}; accepted here: ${choices}`);
  }
  const labels = text(parts[1]).trimEnd().split("\n"), long = labels.find((label) => label.length > LONGEST);
  if (long) throw new Error(`a class name has ${long.length} characters; at most ${LONGEST} are accepted`);
  return {settings, labels};
}

function orDamaged(read) {
  try {
    return read();
  } catch {
    throw new Error("its cspkeras settings are damaged");
  }
}

/** The entries of a zip archive that bytes end with, {name: bytes}; stored, not deflated, as cspkeras writes them. */
function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22; // where the archive's end record is, but for its comment
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) return {};
  const entries = {};
  let at = end - view.getUint32(end + 12, true);
  const shift = at - view.getUint32(end + 16, true); // of all offsets, where something was put in front
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    const [size, name, extra, comment] = [20, 28, 30, 32].map((i) => (i > 20 ? view.getUint16(at + i, true) : view.getUint32(at + i, true)));
    const local = view.getUint32(at + 42, true) + shift;
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    entries[text(bytes.subarray(at + 46, at + 46 + name))] = bytes.subarray(start, start + size);
    at += 46 + name + extra + comment;
  }
  return entries;
}

const text = (bytes) => new TextDecoder().decode(bytes);
