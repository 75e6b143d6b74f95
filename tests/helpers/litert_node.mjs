// Runs a generated module on photos in node. LiteRT.js expects a browser, so its few names are given to it.
// node litert_node.mjs MODULE CLASS MODEL PHOTOS: photos are JSON [{width, height, data: [RGBA ...]}].
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import vm from 'node:vm';

const [module, name, model, photos] = process.argv.slice(2);
const modules = path.join(path.dirname(path.resolve(module)), 'node_modules');
const wasm = path.join(fs.realpathSync(modules), '@litertjs/core/wasm');
Object.assign(globalThis, {
  self: globalThis,
  require: createRequire(import.meta.url),
  __dirname: wasm,
  __filename: path.join(wasm, 'loader.js'),
  importScripts: (url) => vm.runInThisContext(fs.readFileSync(new URL(url), 'utf8'), {filename: url}),
});
// What the runtime tells of itself must not get between the results.
for (const level of ['log', 'info', 'warn', 'debug']) console[level] = () => {};

const {loadLiteRt} = await import(pathToFileURL(path.join(fs.realpathSync(modules), '@litertjs/core/dist/index.js')));
await loadLiteRt(`${pathToFileURL(wasm)}/`);
const generated = await import(pathToFileURL(path.resolve(module)));
const classifier = await generated[name].load(new Uint8Array(fs.readFileSync(model)));
const results = [];
for (const photo of JSON.parse(fs.readFileSync(photos))) {
  const {data, width, height} = {...photo, data: Uint8ClampedArray.from(photo.data)};
  results.push({
    input: [...generated.toInput({data, width, height})],
    scores: [...await classifier.scores({data, width, height})],
    best: await classifier.classify({data, width, height}, 2),
    shares: photo.label === undefined ? null : [...await classifier.shares({data, width, height}, photo.label)],
  });
}
classifier.delete();
fs.writeFileSync(1, JSON.stringify({size: generated.SIZE, texts: generated.TEXTS, label: generated.Label, results}));
process.exit(0);
