// Boxes and scores from the raw numbers of a file with integers to its end: what the networks' decoding does elsewhere.

const EXP_LIMIT = 8; // as in the networks

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

/**
 * Decodes `raw`, x, y, width, height of each prediction, and `logits`, of an object and of each class, both one after the
 * other; predictions in the order level, row, column, anchor. `decode` is the file's setting, `input` [width, height].
 * Returns {boxes, scores}: centre y, centre x, height, width in 0..1 of the input; scores 0..1. Both are left 0 for an
 * object that is no likelier than the threshold: so are its classes.
 */
export function decode(raw, logits, classes, {linear, levels}, input, threshold) {
  const boxes = new Float32Array(raw.length), scores = new Float32Array((raw.length / 4) * classes);
  const place = (value, scale) => (linear ? value : sigmoid(value)) * scale - (scale - 1) / 2;
  const side = (value, anchor) => Math.exp(Math.min(value, EXP_LIMIT)) * anchor;
  let at = 0; // the prediction
  for (const {stride, scale_xy: scale, anchors} of levels) {
    const [columns, rows] = input.map((length) => Math.floor(length / stride));
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (const anchor of anchors) {
          const object = sigmoid(logits[at * (1 + classes)]);
          if (object > threshold) {
            const [x, y, width, height] = raw.subarray(4 * at, 4 * at + 4);
            const center = [(place(y, scale) + row) * stride / input[1], (place(x, scale) + column) * stride / input[0]];
            boxes.set([...center, side(height, anchor[1]) / input[1], side(width, anchor[0]) / input[0]], 4 * at);
            for (let label = 0; label < classes; label++)
              scores[at * classes + label] = object * sigmoid(logits[at * (1 + classes) + 1 + label]);
          }
          at++;
        }
  }
  if (4 * at !== raw.length) throw new Error(`has ${raw.length / 4} boxes; its settings tell of ${at}`);
  return {boxes, scores};
}
