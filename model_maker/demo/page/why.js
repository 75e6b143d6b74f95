/** Where in a photo an answer comes from: a second file gives the share of each cell of a grid in each logit. */

import {loadAndCompile} from './runtime/core.js';
import {inputTensor} from './model.js';

// The colors of the report's heat maps, the opacity of the largest share, and the gray photo below.
const [FOR, AGAINST] = [[255, 140, 0], [40, 90, 255]];
const [STRONGEST, LIGHT, DARK] = [0.8, 0.75, 40];
const LONGEST = 800; // pixels

/** Explains the answers of a classifier; `null` where the site has no file for it. */
export class Explainer {
  #classifier;
  #side;
  #compiled = null;

  constructor(classifier, side) {
    this.#classifier = classifier;
    this.#side = side;
  }

  static async open(classifier) {
    const response = await fetch('why.json');
    const facts = response.ok ? await response.json() : null;
    return facts && new Explainer(classifier, facts.side);
  }

  /** The shares of the cells in the logit of a label: {side, values}, rows from top to bottom. */
  shares(pixels, index) {
    return this.#classifier.alone(async () => {
      this.#compiled ??= await this.#load();
      const tensor = inputTensor(pixels, this.#classifier.info);
      const results = await this.#compiled.run(tensor);
      const classes = this.#classifier.info.labels.length;
      const count = this.#side ** 2;
      const all = results.map((each) => each.toTypedArray()).find((values) => values.length === count * classes);
      const values = Float32Array.from({length: count}, (_, cell) => all[cell * classes + index]);
      [tensor, ...results].forEach((each) => each.delete());
      return {side: this.#side, values};
    });
  }

  async #load() {
    const response = await fetch('why.tflite');
    if (!response.ok) {
      throw new Error(`The file that explains answers cannot be loaded: the server says ${response.status}.`);
    }
    return loadAndCompile(new Uint8Array(await response.arrayBuffer()), {accelerator: 'wasm'});
  }
}

/** Draws a decoded photo in gray on a canvas, with what speaks for the answer in orange, against it in blue. */
export function draw(canvas, image, {side, values}) {
  const scale = Math.min(1, LONGEST / Math.max(image.width, image.height));
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const drawn = context.getImageData(0, 0, canvas.width, canvas.height);
  const largest = Math.max(...values.map(Math.abs)) || 1;
  for (let y = 0, place = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, place += 4) {
      const share = between(values, side, (x + 0.5) / canvas.width, (y + 0.5) / canvas.height) / largest;
      const [red, green, blue] = drawn.data.subarray(place, place + 3);
      const gray = (0.299 * red + 0.587 * green + 0.114 * blue) * LIGHT + DARK;
      const opacity = Math.abs(share) * STRONGEST;
      const color = share > 0 ? FOR : AGAINST;
      for (let band = 0; band < 3; band++) {
        drawn.data[place + band] = gray * (1 - opacity) + color[band] * opacity;
      }
    }
  }
  context.putImageData(drawn, 0, 0);
}

/** The share at a place, 0 to 1 across and down, between the four nearest centers of cells. */
function between(values, side, across, down) {
  const [x, y] = [across, down].map((share) => Math.min(side - 1, Math.max(0, share * side - 0.5)));
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(side - 1, left + 1), Math.min(side - 1, top + 1)];
  const at = (row, column) => values[row * side + column];
  const upper = at(top, left) * (1 - x + left) + at(top, right) * (x - left);
  const lower = at(bottom, left) * (1 - x + left) + at(bottom, right) * (x - left);
  return upper * (1 - y + top) + lower * (y - top);
}
