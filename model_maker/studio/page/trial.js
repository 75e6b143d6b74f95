/** Try: the very file that ships, in LiteRT.js, on photos, camera and video. */

import {close, follow, openCamera, openFilm} from './demo/live.js';
import {Classifier, startRuntime} from './demo/model.js';
import {PictureError, decode, pixels} from './demo/picture.js';
import {resize} from './demo/resize.js';
import {button, byId, make, percent, show, sync} from './elements.js';
import {snapshot} from './files.js';

const SHOWN_LABELS = 5;
const MOST_THREADS = 4;

let shared;
let runtime = null;
let opened = {hash: null, classifier: null, threads: 1};
// What is on the stage: how it becomes a photo of a class, and its scores.
let current = null;
let photos = [];
let watched = null;

export function start(studio) {
  shared = studio;
  byId('try-choose').addEventListener('click', () => byId('try-photos').click());
  byId('try-photos').addEventListener('change', () => take([...byId('try-photos').files]));
  byId('try-film').addEventListener('click', () => byId('try-video').click());
  byId('try-video').addEventListener('change', () => take([...byId('try-video').files]));
  byId('try-camera').addEventListener('click', () => watch('Camera', () => openCamera(byId('live')), 'camera'));
  byId('stop').addEventListener('click', stop);
  byId('try').addEventListener('drop', (event) => take([...event.dataTransfer.files]));
  byId('threshold').addEventListener('input', () => drawThreshold());
}

export function draw({state}) {
  const {result} = state;
  byId('try-hint').textContent = !result
    ? 'There is no model yet: train first.'
    : state.runtime
      ? 'The file that ships runs here, in the browser. Photos stay on this device.'
      : 'LiteRT.js, which runs models in browsers, is not in this installation: `make runtime` fetches it.';
  const ready = Boolean(result && state.runtime);
  ['try-choose', 'try-camera', 'try-film'].forEach((id) => (byId(id).disabled = !ready));
  show(byId('threshold-box'), Boolean(result?.answers.length));
  drawMending(state.classes.map(({name}) => name));
  drawThreshold();
  if (opened.hash && result?.sha256 !== opened.hash && !byId('try').hidden) {
    again();
  }
}

export function enter() {
  if (opened.hash && shared.state?.result && shared.state.result.sha256 !== opened.hash) {
    again();
  }
}

export function leave() {
  stop();
}

/** The classifier of the model that stands there now. */
async function classifier() {
  const {result} = shared.state;
  if (opened.hash !== result.sha256) {
    runtime ??= startRuntime();
    const note = await runtime;
    const threads = note ? 1 : Math.min(MOST_THREADS, navigator.hardwareConcurrency);
    const response = await fetch('model/model.tflite');
    const bytes = new Uint8Array(await response.arrayBuffer());
    opened = {hash: result.sha256, classifier: await Classifier.open(bytes, {threads}), threads};
  }
  return opened.classifier;
}

/** Judges what is on the stage anew, by a new model. */
function again() {
  shared.guarded(async () => {
    for (const photo of photos) {
      await look(photo);
    }
    drawGrid();
    current?.photo && select(current.photo);
  });
}

async function classify(image) {
  const model = await classifier();
  const {scores, latencyMs} = await model.run(resize(pixels(image), model.fit));
  return {ranked: model.rank(scores, SHOWN_LABELS), latencyMs};
}

async function take(files) {
  if (!files.length || !shared.state?.result) {
    return;
  }
  stop();
  const film = files.find((file) => file.type.startsWith('video/'));
  if (film) {
    await watch(film.name, () => openFilm(byId('live'), film), 'video');
    return;
  }
  await shared.guarded(async () => {
    const added = files.map((file, index) => ({
      key: `${Date.now()}-${index}`,
      file,
      address: URL.createObjectURL(file),
    }));
    photos.push(...added);
    for (const photo of added) {
      await look(photo);
      drawGrid();
      photo === added.find((other) => other.answer) && select(photo);
    }
    shared.say(`${added.length} photos classified`);
  });
}

async function look(photo) {
  try {
    const image = await decode(photo.file);
    try {
      photo.answer = await classify(image);
    } finally {
      image.close();
    }
  } catch (error) {
    if (!(error instanceof PictureError)) {
      throw error;
    }
    photo.problem = error.message;
  }
}

function drawGrid() {
  sync(
    byId('try-grid'),
    photos,
    ({key}) => key,
    (photo) => {
      const tile = button('', () => photo.answer && select(photo), {className: 'tile'});
      const text = make('span', {className: 'text'}, make('span', {className: 'found'}, '…'), make('span', {className: 'file'}, photo.file.name));
      tile.append(make('img', {src: photo.address, alt: ''}), text);
      return make('li', {}, tile);
    },
    (element, {answer, problem}) => {
      const found = element.querySelector('.found');
      if (problem) {
        found.textContent = problem;
      } else if (answer) {
        const [{label, score}] = answer.ranked;
        found.replaceChildren(make('span', {}, label), make('span', {className: 'score'}, percent(score)));
      }
    },
  );
}

function select(photo) {
  stop();
  current = {photo, ...photo.answer, blob: async () => ({blob: photo.file, name: photo.file.name})};
  stage(photo.file.name, photo.address);
  drawAnswer();
}

/** Follows a camera or a video, one frame after another. */
async function watch(caption, open, kind) {
  stop();
  await shared.guarded(async () => {
    await classifier();
    await open();
    const mine = {};
    watched = mine;
    stage(caption, null);
    const video = byId('live');
    const name = () => `${kind} ${new Date().toISOString().replace(/[:.]/g, '-').slice(0, 23)}.jpg`;
    await follow(video, async () => {
      if (watched !== mine || !video.videoWidth) {
        return watched === mine;
      }
      const answer = await classify(video);
      if (watched === mine) {
        current = {...answer, blob: async () => ({blob: await snapshot(video), name: name()})};
        drawAnswer();
      }
      return watched === mine;
    });
  });
}

function stop() {
  if (watched) {
    watched = null;
    close(byId('live'));
    current = null;
    show(byId('stage'), false);
  }
}

function stage(caption, address) {
  show(byId('stage'), true);
  show(byId('photo'), address !== null);
  show(byId('live'), address === null);
  show(byId('stop'), address === null);
  if (address !== null) {
    Object.assign(byId('photo'), {src: address, alt: caption});
  }
  byId('caption').textContent = caption;
}

function drawAnswer() {
  const {ranked, latencyMs} = current;
  const unknown = ranked[0].score < limit();
  byId('top').textContent = unknown ? 'unknown' : ranked[0].label;
  byId('bars').classList.toggle('unsure', unknown);
  byId('latency').textContent = `${latencyMs.toFixed(1)} ms in LiteRT.js`;
  const blank = () => make('li', {}, make('span', {className: 'label'}), make('span', {className: 'score'}), make('div', {className: 'track'}, make('div', {className: 'fill'})));
  const bars = byId('bars');
  // Bars that are there are changed and not replaced, so that those of a video glide.
  sync(bars, ranked.map((entry, index) => ({...entry, place: String(index)})), ({place}) => place, blank, (bar, {label, score}) => {
    const [name, number, track] = bar.children;
    name.textContent = label;
    number.textContent = percent(score);
    track.firstElementChild.style.width = `${100 * score}%`;
  });
}

function drawMending(names) {
  show(byId('mend'), names.length > 0);
  sync(byId('mend-classes'), names.map((name) => ({name})), ({name}) => name, ({name}) =>
    button(`Add to ${name}`, () =>
      shared.guarded(async () => current && shared.upload([{...(await current.blob()), label: name}])),
    ),
  );
}

export function limit() {
  return Number(byId('threshold').value);
}

/** What answering from a score on would have meant for the test photos. */
function drawThreshold() {
  const answers = shared.state?.result?.answers ?? [];
  const least = limit();
  byId('threshold-value').textContent = percent(least);
  const given = answers.filter(([score]) => score >= least);
  const right = given.filter(([, is]) => is).length;
  byId('threshold-words').textContent = !answers.length
    ? ''
    : `Of ${answers.length} test photos ${given.length} get an answer; ${right} of these are correct ` +
      `(precision ${given.length ? percent(right / given.length) : '–'}). Of all test photos, ` +
      `${percent(right / answers.length)} get the correct answer (recall). The others are “unknown”.`;
  current && drawAnswer();
}
