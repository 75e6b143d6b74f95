/** What a .tflite says of itself: its edges, labels, normalization, threshold, and how it was made. */

import {Table} from './flatbuffer.js';
import {files} from './zip.js';

// TFLite's own numbers for types of tensors, process units and associated files.
const TYPES = {0: 'float32', 3: 'uint8', 9: 'int8'};
const NORMALIZATION = 1;
const SCORE_THRESHOLD = 3;
const AXIS_LABELS = 2;
const PROVENANCE = 'model_maker.json';
const LABEL_THRESHOLDS = 'label_thresholds.csv';
const LABEL_SETS = 'label_sets.csv';
const RESIZE = 'resize.txt';
const RESIZES = ['stretch', 'letterbox', 'crop'];

/**
 * Reads a model's metadata, ours or another tool's.
 *
 * @param {Uint8Array} bytes a whole .tflite.
 * @returns name, version, author, licence, description: texts;
 *   heads: of each output {name, labels, threshold, limits, output}; these stand here, too, as the first one has them:
 *   labels: one a class, empty where the file has none;
 *   normalization: {mean, std} of a float input, or null;
 *   resize: how photos are fitted to the input: 'stretch', 'letterbox' or 'crop';
 *   threshold: the score from which on a label is an answer, 0 for any; limits: the same for each label;
 *   labelSets: {coverage, limits} of the labels to show so that the right one is among them, or null;
 *   provenance: what train wrote, or {};
 *   input, output: {shape, type, scale, zeroPoint}.
 */
export async function read(bytes) {
  if (new TextDecoder().decode(bytes.subarray(4, 8)) !== 'TFL3') {
    throw new Error('This is not a .tflite file.');
  }
  try {
    return await parse(bytes);
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError || error instanceof TypeError) {
      throw new Error(`The model file is damaged (${error.message}).`);
    }
    throw error;
  }
}

async function parse(bytes) {
  const model = Table.root(bytes);
  const graph = model.tables(2)[0];
  const edge = (field) => edgeOf(graph.tables(0)[graph.int32s(field)[0]]);
  const [packed, inside] = [packedMetadata(model), await files(bytes)];
  const metadata = packed ? Table.root(packed) : null;
  const outputs = metadata?.tables(3)[0]?.tables(3) ?? [];
  const heads = graph.int32s(2).map((tensor, index) => ({
    ...headOf(outputs[index], inside),
    output: edgeOf(graph.tables(0)[tensor]),
  }));
  const {name: _, ...first} = heads[0];
  const labelSets = heads.length === 1 ? labelSetsOf(first.labels, inside) : null;
  return {...described(metadata, inside), ...first, labelSets, input: edge(1), heads};
}

function headOf(output, inside) {
  const labels = output ? labelsOf(output, inside) : [];
  const threshold = output ? (options(output, SCORE_THRESHOLD)?.float32(0) ?? 0) : 0;
  return {name: output?.text(0) ?? '', labels, threshold, limits: limitsOf(labels, threshold, thresholdsIn(output, inside))};
}

function edgeOf(tensor) {
  const quantization = tensor.table(4);
  return {
    shape: tensor.int32s(0),
    type: TYPES[tensor.int8(1)] ?? `type ${tensor.int8(1)}`,
    scale: quantization?.float32s(2)[0] ?? 0,
    zeroPoint: quantization?.int64s(3)[0] ?? 0,
  };
}

function packedMetadata(model) {
  const entry = model.tables(6).find((other) => other.text(0) === 'TFLITE_METADATA');
  return entry && model.tables(4)[entry.uint32(1)].bytes(0);
}

function described(metadata, inside) {
  const part = metadata?.tables(3)[0];
  const input = part?.tables(2)[0];
  const text = (field) => metadata?.text(field) ?? '';
  const provenance = inside.has(PROVENANCE) ? JSON.parse(new TextDecoder().decode(inside.get(PROVENANCE))) : {};
  return {
    name: text(0),
    description: text(1),
    version: text(2),
    author: text(4),
    licence: text(5),
    normalization: input ? normalizationOf(input) : null,
    resize: input ? resizeOf(input, inside) : RESIZES[0],
    provenance,
  };
}

/** The options of a tensor's process unit of one kind. */
function options(tensor, kind) {
  return tensor.tables(4).find((unit) => unit.int8(0) === kind)?.table(1);
}

function normalizationOf(image) {
  const found = options(image, NORMALIZATION);
  const [means, deviations] = [new Set(found?.float32s(0)), new Set(found?.float32s(1))];
  const [[mean], [std]] = [means, deviations];
  return means.size === 1 && deviations.size === 1 && std !== 0 ? {mean, std} : null;
}

/** A file that does not say stretches photos. */
function resizeOf(image, inside) {
  if (!image.tables(6).some((file) => file.text(0) === RESIZE)) {
    return RESIZES[0];
  }
  const stated = new TextDecoder().decode(inside.get(RESIZE));
  if (!RESIZES.includes(stated)) {
    throw new Error(`The model fits photos in a way that this page does not know: ${stated.slice(0, 40)}.`);
  }
  return stated;
}

function labelsOf(scores, inside) {
  const file = scores.tables(6).find((other) => other.int8(2) === AXIS_LABELS);
  if (!file) {
    return [];
  }
  if (!inside.has(file.text(0))) {
    throw new Error(`The metadata names the label file ${file.text(0)}, which is not in the model file.`);
  }
  const text = new TextDecoder().decode(inside.get(file.text(0))).replaceAll('\r\n', '\n');
  return text.replace(/\n$/, '').split('\n');
}

/** The file with the thresholds of an output's labels; where there are several outputs, each has its own. */
function thresholdsIn(output, inside) {
  const file = output?.tables(6).find((other) => other.text(0).endsWith(LABEL_THRESHOLDS));
  return file && inside.has(file.text(0)) ? new TextDecoder().decode(inside.get(file.text(0))) : '';
}

/** TFLite's metadata has one threshold for all; those of each label are the last column of a calibration. */
function limitsOf(labels, threshold, text) {
  const lines = text ? text.split('\n') : [];
  const own = lines.map((line) => Math.fround(Number(line.split(',').at(-1))));
  return labels.map((_, index) => Math.max(threshold, own[index] ?? 0));
}

/** The coverage in the first line, then a row for each label, which its limit begins. */
function labelSetsOf(labels, inside) {
  if (!labels.length || !inside.has(LABEL_SETS)) {
    return null;
  }
  const [coverage, ...rows] = new TextDecoder().decode(inside.get(LABEL_SETS)).trimEnd().split('\n');
  const found = {coverage: Number(coverage), limits: rows.map((row) => Math.fround(Number(row.split(',')[0])))};
  if (rows.length !== labels.length || ![found.coverage, ...found.limits].every((share) => share >= 0 && share <= 1)) {
    throw new Error(`The model’s ${LABEL_SETS} is damaged.`);
  }
  return found;
}
