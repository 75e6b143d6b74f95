/**
 * The resize that the model was trained and measured with, to the bit: bilinear between the four nearest pixels,
 * half-pixel centres, no antialiasing, the fraction cut off. A canvas would smooth, each browser in its own way.
 */

// Pixels of the picture that are held at a time: four bytes each.
const BAND_PIXELS = 1 << 22;

/**
 * Fits a picture to the input of a model.
 *
 * @param picture {width, height, rows(top, count)}; rows gives RGBA bytes of whole rows.
 * @param {{height: number, width: number, resize: string}} fit the input, and what to do with pictures of another shape:
 *   'stretch', 'letterbox' (scaled as a whole, centered on black) or 'crop' (the middle, scaled).
 * @returns {Uint8Array} RGB, [height, width, 3].
 */
export function resize(picture, {height, width, resize}) {
  const whole = {left: 0, top: 0, width: picture.width, height: picture.height};
  const source = resize === 'crop' ? centered(picture, {width, height}) : whole;
  const target = resize === 'letterbox' ? centered({width, height}, picture) : {left: 0, top: 0, width, height};
  const columns = positions(source.left, source.width, target.width);
  const rows = positions(source.top, source.height, target.height);
  const bandRows = Math.max(2, Math.floor(BAND_PIXELS / picture.width));
  const result = new Uint8Array(height * width * 3);
  for (let first = 0; first < rows.length; ) {
    const top = rows[first].low;
    let last = first;
    while (last + 1 < rows.length && rows[last + 1].high - top < bandRows) {
      last += 1;
    }
    const band = picture.rows(top, rows[last].high - top + 1);
    for (let y = first; y <= last; y += 1) {
      const start = ((target.top + y) * width + target.left) * 3;
      blend(band, picture.width, top, rows[y], columns, result.subarray(start, start + columns.length * 3));
    }
    first = last + 1;
  }
  return result;
}

/** The largest box of a shape in the middle of another box. */
function centered(box, shape) {
  const wide = box.width * shape.height > box.height * shape.width;
  const side = (known, one, other) => Math.max(1, Math.floor((2 * known * one + other) / (2 * other)));
  const width = wide ? side(box.height, shape.width, shape.height) : box.width;
  const height = wide ? box.height : side(box.width, shape.height, shape.width);
  return {left: Math.floor((box.width - width) / 2), top: Math.floor((box.height - height) / 2), width, height};
}

/** For each pixel of the result: the two that it lies between, and how far it is towards the second. */
function positions(start, length, size) {
  return Array.from({length: size}, (_, index) => {
    const position = (length / size) * (index + 0.5) - 0.5;
    const low = Math.floor(position);
    return {low: start + Math.max(low, 0), high: start + Math.min(low + 1, length - 1), share: position - low};
  });
}

function blend(band, width, top, {low, high, share}, columns, line) {
  const [upper, lower] = [(low - top) * width, (high - top) * width];
  for (let x = 0; x < columns.length; x += 1) {
    const {low: left, high: right, share: across} = columns[x];
    const [a, b, c, d] = [upper + left, upper + right, lower + left, lower + right];
    for (let channel = 0; channel < 3; channel += 1) {
      const above = between(band[4 * a + channel], band[4 * b + channel], across);
      const below = between(band[4 * c + channel], band[4 * d + channel], across);
      line[3 * x + channel] = between(above, below, share);
    }
  }
}

function between(from, to, share) {
  return from + (to - from) * share;
}
