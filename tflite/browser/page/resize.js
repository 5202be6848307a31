// Pillow's bilinear resizing, to the last bit: triangles as wide as the source pixels that a new pixel covers.

const BITS = 22; // of the weights' fractions

/** An RGBA image (bytes; sizes are width, height) at another size. The alpha is not kept. */
export function resize(pixels, [fromWidth, fromHeight], [width, height]) {
  const narrow = resizeRows(pixels, fromHeight, fromWidth, width);
  return resizeRows(narrow, width, fromHeight, height);
}

/** Each of the rows, `from` pixels long, at the length `to`; the rows become the columns. */
function resizeRows(pixels, rows, from, to) {
  const {starts, ends, weights} = triangles(from, to);
  const resized = new Uint8ClampedArray(4 * rows * to);
  for (let row = 0; row < rows; row++)
    for (let i = 0, k = 0; i < to; i++) {
      let red = 1 << (BITS - 1), green = red, blue = red;
      for (let at = 4 * (row * from + starts[i]); k < ends[i]; k++, at += 4) {
        red += pixels[at] * weights[k];
        green += pixels[at + 1] * weights[k];
        blue += pixels[at + 2] * weights[k];
      }
      const at = 4 * (i * rows + row);
      resized[at] = red >> BITS;
      resized[at + 1] = green >> BITS;
      resized[at + 2] = blue >> BITS;
    }
  return resized;
}

/** For each new pixel of a row, the first pixel that it covers, and where its `weights` end, which follow each other. */
function triangles(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  const starts = [], ends = [], weights = [];
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - reach + 0.5), 0);
    const end = Math.min(Math.trunc(center + reach + 0.5), from);
    const shares = [];
    for (let x = start; x < end; x++) shares.push(Math.max(1 - Math.abs((x - center + 0.5) / reach), 0));
    const sum = shares.reduce((total, share) => total + share);
    for (const share of shares) weights.push(Math.trunc(0.5 + (share / sum) * (1 << BITS)));
    starts.push(start);
    ends.push(weights.length);
  }
  return {starts: Int32Array.from(starts), ends: Int32Array.from(ends), weights: Int32Array.from(weights)};
}
