/** The model in LiteRT.js: compiled for a number of threads, fed with pixels, read as probabilities. */

import {Tensor, loadAndCompile, loadLiteRt, supportsFeature} from './runtime/core.js';
import {read} from './metadata.js';

const RUNTIME = new URL('./runtime/', import.meta.url).href;

// The errors that the runtime wrote since a model was last opened. It names there what it cannot run, and goes on.
let errors = [];

/**
 * Starts the runtime; once a page.
 *
 * @returns {Promise<string>} why it has one thread only; empty where it may have more.
 */
export async function startRuntime() {
  const reason = await whyOneThread();
  self.Module = {print: listen, printErr: listen};
  try {
    await loadLiteRt(RUNTIME, {threads: !reason});
  } catch (error) {
    // A script that does not load rejects with an event, which has no message.
    throw new Error(`LiteRT.js does not start: ${error.message ?? 'its files cannot be loaded'}.`);
  }
  return reason;
}

async function whyOneThread() {
  if (!self.crossOriginIsolated) {
    return 'One thread: more need a server that sends COOP and COEP headers.';
  }
  const able = (await supportsFeature('relaxedSimd')) && (await supportsFeature('threads'));
  return able ? '' : 'One thread: this browser has no relaxed SIMD, which more need.';
}

function listen(line) {
  if (line.startsWith('ERROR: ')) {
    errors.push(line);
  }
}

/** An image classifier; `info` is what metadata.js read of it. */
export class Classifier {
  #compiled;
  #busy = Promise.resolve();
  #head = 0;

  constructor(bytes, info) {
    this.bytes = bytes;
    this.info = info;
  }

  /**
   * @param {Uint8Array} bytes a whole .tflite.
   * @param {{threads: number}} options
   */
  static async open(bytes, {threads}) {
    const info = await read(bytes);
    info.heads.forEach((head) => check({...info, ...head}));
    const classifier = new Classifier(bytes, info);
    await classifier.useThreads(threads);
    return classifier;
  }

  /** The input, and how photos are fitted to it. */
  get fit() {
    const [, height, width] = this.info.input.shape;
    return {height, width, resize: this.info.resize};
  }

  /** Chooses the head that `run` and `rank` mean, by its place. */
  useHead(index) {
    const {name: _, ...head} = this.info.heads[index];
    this.#head = index;
    this.info = {...this.info, ...head};
  }

  /** Compiles the model again, for another number of threads. */
  useThreads(threads) {
    return this.alone(async () => {
      errors = [];
      try {
        const compiled = await loadAndCompile(this.bytes, {accelerator: 'wasm', cpuOptions: {numThreads: threads}});
        this.#compiled?.delete();
        this.#compiled = compiled;
        // The first inference also prepares the kernels, which is no latency of the model.
        await this.#infer(new Uint8Array(this.fit.height * this.fit.width * 3));
      } catch (error) {
        errors.push(error.message);
      }
      if (errors.length) {
        throw new Error(`LiteRT.js cannot run this model: ${errors[0].replace(/^ERROR: (\[[^\]]*\] )?/, '')}`);
      }
    });
  }

  /**
   * Runs the model.
   *
   * @param {Uint8Array} pixels RGB, [height, width, 3].
   * @returns {Promise<{scores: Float32Array, heads: Float32Array[], latencyMs: number}>} of the chosen head, and of all.
   */
  run(pixels) {
    return this.alone(() => this.#infer(pixels));
  }

  /**
   * The best labels, best first; equal scores by index.
   *
   * @param {string[]} labels of the scores, where they are others than the model's own.
   * @returns {{label: string, score: number, index: number}[]}
   */
  rank(scores, count, labels = this.info.labels) {
    const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
    return order.slice(0, count).map((index) => ({label: labels[index], score: scores[index], index}));
  }

  async #infer(pixels) {
    const tensor = inputTensor(pixels, this.info);
    const start = performance.now();
    const results = await this.#compiled.run(tensor);
    const latencyMs = performance.now() - start;
    const heads = this.info.heads.map(({output}, index) => dequantized(results[index].toTypedArray(), output));
    [tensor, ...results].forEach((each) => each.delete());
    return {scores: heads[this.#head], heads, latencyMs};
  }

  /** Lets one task at a time use the runtime. */
  alone(task) {
    const result = this.#busy.then(task);
    this.#busy = result.catch(() => {});
    return result;
  }
}

/** Pixels, RGB [size, size, 3], as the input of a model takes them. */
export function inputTensor(pixels, info) {
  return new Tensor(info.input.type === 'uint8' ? pixels : normalized(pixels, info), info.input.shape);
}

/** Normalizes in float32, as in training. */
function normalized(pixels, {normalization}) {
  const [mean, factor] = [Math.fround(normalization.mean), Math.fround(1 / normalization.std)];
  return Float32Array.from(pixels, (pixel) => Math.fround(pixel - mean) * factor);
}

function dequantized(values, {scale, zeroPoint}) {
  if (values instanceof Float32Array) {
    return values;
  }
  return Float32Array.from(values, (value) => (value - zeroPoint) * (scale || 1));
}

function check({input, output, labels, normalization}) {
  const [batch, height, width, channels] = input.shape;
  if (input.shape.length !== 4 || batch !== 1 || height < 1 || width < 1 || channels !== 3) {
    throw new Error(`The model takes an input of shape [${input.shape}]; an image model takes [1, H, W, 3].`);
  }
  for (const edge of [input, output]) {
    if (!['uint8', 'float32'].includes(edge.type)) {
      throw new Error(`The model has ${edge.type} at its edges; LiteRT.js takes uint8 and float32.`);
    }
  }
  if (input.type === 'float32' && !normalization) {
    throw new Error('The model takes float input, but its metadata does not state one normalization.');
  }
  if (labels.length !== output.shape.at(-1)) {
    throw new Error(`The model gives ${output.shape.at(-1)} scores but carries ${labels.length} labels.`);
  }
}
