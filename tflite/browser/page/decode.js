// Boxes and scores from the raw numbers of a file with integers to its end: what the networks' decoding does elsewhere.

const EXP_LIMIT = 8; // as in the networks

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

const linear = (value) => value;
const exp = (value) => Math.exp(Math.min(value, EXP_LIMIT));
const square = (value) => (2 * sigmoid(value)) ** 2;

// What the four raw numbers of a box mean, as in the networks: the functions of the first two and of the last two, and
// whether they are then the distances from the cell's left upper corner to the left, top, right and bottom in cells,
// instead of the centre in cells and the size in anchors. Where they are, there is no objectness.
const CODINGS = {
  yolo: {first: sigmoid, last: exp},
  free: {first: linear, last: exp},
  scaled: {first: sigmoid, last: square},
  distances: {first: linear, last: linear, distances: true},
  log_distances: {first: exp, last: exp, distances: true},
};

/**
 * Decodes `raw`, four numbers of each prediction, and `logits`, of an object (where the coding has it) and of each class,
 * both one after the other; predictions in the order level, row, column, anchor. `how` is the file's setting "decode",
 * `input` [width, height]. Returns {boxes, scores}: centre y, centre x, height, width in 0..1 of the input; scores 0..1.
 * Both are left 0 where the object, or without it every class, is not likelier than the threshold.
 */
export function decode(raw, logits, classes, how, input, threshold) {
  const boxes = new Float32Array(raw.length), scores = new Float32Array((raw.length / 4) * classes);
  // Older files say "linear", whether a raw centre is a number of cells instead of a logit.
  const name = how.coding ?? (how.linear ? "free" : "yolo"), coding = CODINGS[name];
  if (!coding) throw new Error(`has boxes of the coding ${name}; known are ${Object.keys(CODINGS).join(", ")}`);
  const {first, last, distances} = coding, depth = classes + (distances ? 0 : 1);
  const cells = ({stride}) => input.map((length) => Math.floor(length / stride)); // columns and rows
  const told = how.levels.reduce((sum, level) => sum + cells(level)[0] * cells(level)[1] * level.anchors.length, 0);
  if (4 * told !== raw.length) throw new Error(`has ${raw.length / 4} boxes; its settings tell of ${told}`);
  let at = 0; // the prediction
  for (const level of how.levels) {
    const {stride, scale_xy: scale, anchors} = level, [columns, rows] = cells(level);
    // Of one axis, in pixels: the centre and the size by the two raw numbers and the cell's number and anchor.
    const span = distances
      ? (a, b, cell) => [(cell + (last(b) - first(a)) / 2) * stride, (first(a) + last(b)) * stride]
      : (a, b, cell, anchor) => [(cell + first(a) * scale - (scale - 1) / 2) * stride, last(b) * anchor];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (const anchor of anchors) {
          const own = logits.subarray(at * depth, (at + 1) * depth);
          const likely = sigmoid(distances ? Math.max(...own) : own[0]), object = distances ? 1 : likely;
          if (likely > threshold) {
            const numbers = raw.subarray(4 * at, 4 * at + 4);
            const [x, width] = span(numbers[0], numbers[2], column, anchor[0]);
            const [y, height] = span(numbers[1], numbers[3], row, anchor[1]);
            boxes.set([y / input[1], x / input[0], height / input[1], width / input[0]], 4 * at);
            for (let label = 0; label < classes; label++)
              scores[at * classes + label] = object * sigmoid(own[depth - classes + label]);
          }
          at++;
        }
  }
  return {boxes, scores};
}
