/**
 * The resize that the model was trained and measured with, to the bit: bilinear between the four nearest pixels,
 * half-pixel centres, no antialiasing, the fraction cut off. A canvas would smooth, each browser in its own way.
 */

// Pixels of the picture that are held at a time: four bytes each.
const BAND_PIXELS = 1 << 22;

/**
 * Stretches a picture to a square.
 *
 * @param picture {width, height, rows(top, count)}; rows gives RGBA bytes of whole rows.
 * @param {number} size height and width of the result.
 * @returns {Uint8Array} RGB, [size, size, 3].
 */
export function resize(picture, size) {
  const columns = positions(picture.width, size);
  const rows = positions(picture.height, size);
  const bandRows = Math.max(2, Math.floor(BAND_PIXELS / picture.width));
  const result = new Uint8Array(size * size * 3);
  for (let first = 0; first < size; ) {
    const top = rows[first].low;
    let last = first;
    while (last + 1 < size && rows[last + 1].high - top < bandRows) {
      last += 1;
    }
    const band = picture.rows(top, rows[last].high - top + 1);
    for (let y = first; y <= last; y += 1) {
      blend(band, picture.width, top, rows[y], columns, result.subarray(y * size * 3, (y + 1) * size * 3));
    }
    first = last + 1;
  }
  return result;
}

/** For each pixel of the result: the two that it lies between, and how far it is towards the second. */
function positions(length, size) {
  return Array.from({length: size}, (_, index) => {
    const position = (length / size) * (index + 0.5) - 0.5;
    const low = Math.floor(position);
    return {low: Math.max(low, 0), high: Math.min(low + 1, length - 1), share: position - low};
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
