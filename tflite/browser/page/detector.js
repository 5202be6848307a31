// A detector exported by cspkeras, in the browser. The steps are those of device/detect.py.
import {loadAndCompile, loadLiteRt, Tensor} from "@litertjs/core";
import {decode} from "./decode.js";
import {resize} from "./resize.js";
import {readSettings} from "./settings.js";
import {readTensors, toNumber, toValues} from "./tensors.js";

const CANDIDATES = 1000; // the best (box, class) pairs, those that suppression sees
const TYPES = ["float32", "uint8"]; // those of LiteRT.js

let runtime; // LiteRT's WebAssembly, loaded once

export class Detector {
  /** `bytes`: the .tflite as a Uint8Array; `accelerator`: "wasm" (CPU) or "webgpu". */
  static async load(bytes, accelerator = "wasm") {
    const detector = new Detector();
    Object.assign(detector, readSettings(bytes), {accelerator, tensors: readTensors(bytes)});
    for (const [name, {type}] of Object.entries(detector.tensors))
      if (!TYPES.includes(type))
        throw new Error(`its ${name} is ${type}; LiteRT.js takes ${TYPES.join(" and ")}: export it with --io uint8 or float32`);
    const wasm = new URL("../wasm/", import.meta.resolve("@litertjs/core")).href;
    runtime ??= loadLiteRt(wasm, {threads: self.crossOriginIsolated});
    await runtime;
    detector.model = await loadAndCompile(bytes, {accelerator});
    const [input] = detector.model.getInputDetails();
    [detector.height, detector.width] = input.shape.slice(1, 3);
    detector.inputName = input.name;
    const outputs = detector.model.getOutputDetails().map((output) => output.name);
    if (!["boxes", "scores"].every((name) => outputs.includes(name)))
      throw new Error(`needs the outputs boxes and scores, has ${outputs.join(", ")}`);
    return detector;
  }

  /**
   * Finds the objects in an image, a video's current frame or a canvas.
   * Returns [{label, score, box: [x1, y1, x2, y2] in the image's pixels}], best first. `times` has the milliseconds.
   */
  async detect(image, {scoreThreshold, iouThreshold} = {}) {
    scoreThreshold ??= this.settings.score_threshold;
    iouThreshold ??= this.settings.iou_threshold;
    const start = performance.now();
    const size = [image.videoWidth || image.width, image.videoHeight || image.height];
    const place = placement(size, [this.width, this.height], this.settings.input.resize);
    const input = new Tensor(this.preprocess(image, size, place), [1, this.height, this.width, 3]);
    const ready = performance.now();
    const outputs = await this.model.run({[this.inputName]: input});
    const raw = await Promise.all([outputs.boxes.data(), outputs.scores.data()]);
    const answered = performance.now();
    for (const tensor of [input, ...Object.values(outputs)]) tensor.delete();
    const {boxes, scores} = this.decode(...raw, scoreThreshold);
    const found = suppress(candidates(boxes, scores, this.labels.length, scoreThreshold), iouThreshold)
      .map(({box, label, score}) => ({label: this.labels[label], score, box: this.toImage(box, size, place)}))
      .filter(({box: [x1, y1, x2, y2]}) => x2 > x1 && y2 > y1);
    this.times = {preprocess: ready - start, inference: answered - ready, postprocess: performance.now() - answered};
    return found;
  }

  /** The network's input: RGB, numbers for (pixel - mean) * scale, the image resized as Pillow does, on grey `fill`. */
  preprocess(image, size, [left, top, width, height]) {
    const {mean, scale, fill} = this.settings.input;
    const pixels = resize(read(image, size), size, [width, height]), tensor = this.tensors[this.inputName];
    const numbers = Array.from({length: 256}, (_, pixel) => toNumber((pixel - mean) * scale, tensor));
    const kind = tensor.type === "uint8" ? Uint8Array : Float32Array;
    const values = new kind(this.height * this.width * 3).fill(numbers[fill]);
    for (let y = 0, from = 0; y < height; y++)
      for (let x = 0, to = 3 * ((top + y) * this.width + left); x < width; x++, from += 4)
        for (let channel = 0; channel < 3; channel++) values[to++] = numbers[pixels[from + channel]];
    return values;
  }

  /** The network's outputs as boxes cy, cx, h, w in 0..1 of the input and scores. */
  decode(rawBoxes, rawScores, threshold) {
    const boxes = toValues(rawBoxes, this.tensors.boxes), scores = toValues(rawScores, this.tensors.scores);
    if (this.settings.boxes === "cyxhw") return {boxes, scores};
    return decode(boxes, scores, this.labels.length, this.settings.decode, [this.width, this.height], threshold);
  }

  /** A box in 0..1 of the input -> in the image's pixels, clipped to it. */
  toImage(box, size, [left, top, width, height]) {
    const input = [this.width, this.height], origin = [left, top], extent = [width, height];
    return box.map((value, i) => {
      const pixel = ((value * input[i % 2] - origin[i % 2]) * size[i % 2]) / extent[i % 2];
      return Math.min(Math.max(pixel, 0), size[i % 2]);
    });
  }
}

/** The RGBA bytes of an image, a video's current frame or a canvas, transparent parts on white. */
function read(image, [width, height]) {
  const pen = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, width, height).data;
}

/** Where an image lies in the network's input: left, top, width, height (sizes are width, height). */
export function placement(size, input, resize) {
  if (resize === "stretch") return [0, 0, ...input];
  const scale = Math.min(input[0] / size[0], input[1] / size[1]);
  const [width, height] = size.map((side) => Math.max(1, Math.floor(side * scale + 0.5)));
  return [(input[0] - width) >> 1, (input[1] - height) >> 1, width, height];
}

/** The (box, class) pairs above the threshold, best first: boxes cy, cx, h, w -> x1, y1, x2, y2. */
export function candidates(boxes, scores, classes, threshold) {
  const pairs = [];
  for (let i = 0; i < scores.length; i++) if (scores[i] > threshold) pairs.push(i);
  pairs.sort((a, b) => scores[b] - scores[a]);
  return pairs.slice(0, CANDIDATES).map((pair) => {
    const row = Math.floor(pair / classes);
    const [y, x, height, width] = boxes.subarray(4 * row, 4 * row + 4);
    const box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
    return {box, label: pair % classes, score: scores[pair]};
  });
}

/** Greedy suppression within each class: a better one drops those that overlap it by more than the threshold. */
export function suppress(ordered, threshold) {
  const kept = [];
  for (const one of ordered)
    if (!kept.some((better) => better.label === one.label && overlap(better.box, one.box) > threshold)) kept.push(one);
  return kept;
}

function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
  return shared / Math.max(area - shared, 1e-12);
}
