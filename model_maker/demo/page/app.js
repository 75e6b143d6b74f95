/** Puts it together: pictures in, the model over them, answers out. */

import {judged} from './answers.js';
import * as beside from './beside.js';
import {close, follow, openCamera, openFilm} from './live.js';
import {Classifier, startRuntime} from './model.js';
import {PictureError, decode, pictureOf, pixels} from './picture.js';
import {resize} from './resize.js';
import {Teacher} from './teach.js';
import * as threshold from './threshold.js';
import * as view from './view.js';
import {Explainer, draw} from './why.js';

const {byId} = view;
const THREADS = [1, 2, 4, 8];
const DEFAULT_THREADS = 4;
// A median of some frames does not flicker.
const FRAMES = 15;
const MS_BETWEEN_WORDS = 2000;

const video = byId('live');
let classifier;
// Knows classes that are taught here; null where the model cannot be split.
let teacher = null;
// Says where answers come from; null where that cannot be said of this model.
let explainer = null;
let held = false;
let threads = 1;
let photos = [];
// Which camera or video is being followed; a new one, or none, ends the loop of the old one.
let watched = null;

/** The classifier of this page, once it is ready. */
export const ready = start();
ready.catch((error) => {
  byId('facts').textContent = '';
  view.showProblem(error.message);
});

/** Scores float32 [C] and milliseconds of a decoded photo, or of a video's current frame. */
export function classify(image) {
  if (teacher?.taught.length) {
    return teacher.run(image);
  }
  return classifier.run(resize(pixels(image), classifier.fit));
}

async function start() {
  const response = await fetch('model.tflite');
  if (!response.ok) {
    throw new Error(`The model cannot be loaded: the server says ${response.status} ${response.statusText}.`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const note = await startRuntime();
  const counts = THREADS.filter((count) => count === 1 || (!note && count <= navigator.hardwareConcurrency));
  threads = counts.filter((count) => count <= DEFAULT_THREADS).at(-1);
  classifier = await Classifier.open(bytes, {threads});
  const about = await beside.about();
  beside.showFiles(about.files);
  threshold.start(about.thresholds, judge);
  showModel();
  view.showThreads(counts, threads, note, useThreads);
  view.showHeads(classifier.info.heads, useHead);
  teacher = await Teacher.open();
  if (teacher) {
    view.showTaught(teacher.taught, forget);
  }
  explainer = await Explainer.open(classifier);
  ['choose', 'camera', 'film'].forEach((id) => (byId(id).disabled = false));
  beside.offerSamples(about.samples, (file) => take([file]));
  return classifier;
}

function showModel() {
  view.showModel(classifier.info, classifier.bytes);
  threshold.use(classifier.info);
}

/** The photo that is chosen among the tiles; none while a camera or video is followed. */
function chosen() {
  return watched ? undefined : photos.find((photo) => photo.tile.getAttribute('aria-pressed') === 'true');
}

/** Judges the scores of all photos by other thresholds; a video's next frame does so for itself. */
function judge() {
  for (const photo of photos.filter((other) => other.answer)) {
    photo.answer = answerOf(photo.scores);
    view.fillTile(photo.tile, photo);
  }
  const shown = chosen();
  shown && view.showAnswer(shown.answer, told(shown.latencyMs));
}

async function useThreads(count) {
  await guarded(async () => {
    await classifier.useThreads(count);
    threads = count; // where LiteRT.js refuses, it runs on as before
  });
  // The answer on the stage is measured again.
  const shown = chosen();
  if (shown) {
    await guarded(() => look(shown));
    select(shown);
  }
}

/** Shows the labels of another head; the answers on the page are given anew. */
async function useHead(index) {
  classifier.useHead(index);
  showModel();
  const shown = chosen();
  await guarded(async () => {
    for (const photo of photos.filter((other) => other.answer)) {
      await look(photo);
    }
  });
  if (shown) {
    select(shown);
  }
}

function answerOf(scores) {
  return judged(scores, classifier, teacher);
}

function told(latencyMs) {
  return `${latencyMs.toFixed(1)} ms in LiteRT.js, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

/** Classifies files one after the other, in the order given; a video among them is played. */
async function take(files) {
  await guarded(() => ready);
  if (!files.length || !classifier) {
    return;
  }
  view.showProblem();
  stop();
  const film = files.find((file) => file.type.startsWith('video/'));
  if (film) {
    const others = files.length - 1;
    const note = others ? `${film.name} is played; ${others} other file${others > 1 ? 's are' : ' is'} left out.` : '';
    await watch(film.name, () => openFilm(video, film), note);
    return;
  }
  const added = files.map(add);
  count();
  let shown = false;
  for (const photo of added) {
    await guarded(() => look(photo));
    if (!photos.includes(photo)) {
      return; // cleared meanwhile
    }
    count();
    if (!shown && photo.answer) {
      shown = true;
      select(photo);
      view.reveal();
    }
  }
  summarize(added);
}

function add(file) {
  const photo = {file, name: file.name, address: URL.createObjectURL(file)};
  photo.tile = view.addTile(photo, () => {
    select(photo);
    view.reveal();
    tell(photo);
  });
  photos.push(photo);
  return photo;
}

function count() {
  view.showCount(photos.filter((photo) => photo.answer || photo.problem).length, photos.length);
}

async function look(photo) {
  try {
    const image = await decode(photo.file);
    try {
      const {scores, latencyMs} = await classify(image);
      Object.assign(photo, {scores, answer: answerOf(scores), latencyMs});
    } finally {
      image.close();
    }
  } catch (error) {
    if (!(error instanceof PictureError)) {
      throw error;
    }
    photo.problem = error.message;
  }
  view.fillTile(photo.tile, photo);
}

function select(photo) {
  stop();
  view.press(photo.tile);
  view.showPicture(photo.name, photo.address);
  view.showAnswer(photo.answer, told(photo.latencyMs));
  const [{index}] = photo.answer.ranked;
  view.offerWhy(explainer !== null && index < classifier.info.labels.length); // of taught classes nothing is known
}

/** Shows where the answer to the photo on the stage comes from, or the photo again. */
async function explain() {
  const photo = photos.find((each) => each.tile.getAttribute('aria-pressed') === 'true');
  if (view.showsWhy() || !photo) {
    view.showWhy(false);
    return;
  }
  await guarded(async () => {
    const image = await decode(photo.file);
    try {
      const [{label, index}] = photo.answer.ranked;
      const fitted = resize(pixels(image), classifier.fit);
      const shown = classifier.fit.resize === 'stretch' ? image : await createImageBitmap(pictureOf(fitted, classifier.fit));
      draw(byId('heat'), shown, await explainer.shares(fitted, index));
      view.showWhy(true, label);
      view.say(`The heat map shows where ${label} comes from`);
    } finally {
      image.close();
    }
  });
}

/** Shows the result for some photos, and why others could not be read. */
function summarize(added) {
  const failed = added.filter((photo) => photo.problem);
  if (failed.length === 1) {
    view.showProblem(`${failed[0].name}: ${failed[0].problem}.`);
  } else if (failed.length) {
    view.showProblem(`${failed.length} files cannot be read; their tiles say why.`);
  }
  const done = added.filter((photo) => photo.answer);
  if (done.length === 1) {
    tell(done[0]);
  } else if (done.length) {
    view.say(`${done.length} photos classified`);
  }
}

function tell({name, answer: {label, ranked, several}}) {
  view.say(several ? `${name}: ${label}` : `${name}: ${label}, ${view.percent(ranked[0].score)}`);
}

/** Follows camera or video until another picture is chosen; a note says what else there is to know. */
async function watch(caption, open, note = '') {
  view.showProblem(note);
  stop();
  const mine = (watched = Symbol(caption));
  const times = [];
  let [word, saidAt] = ['', 0];
  await guarded(async () => {
    await open();
    if (watched !== mine) {
      return watched || close(video); // stopped before it began
    }
    view.press(null);
    view.showPicture(caption);
    byId('teach-hold').disabled = false;
    view.reveal();
    await follow(video, async (frame) => {
      if (watched !== mine) {
        return false;
      }
      const {scores, latencyMs} = await classify(frame);
      const answer = answerOf(scores);
      times.push(latencyMs);
      const recent = times.slice(-FRAMES).sort((a, b) => a - b);
      if (watched === mine) {
        view.showAnswer(answer, told(recent[recent.length >> 1]));
      }
      if (answer.label !== word && performance.now() - saidAt > MS_BETWEEN_WORDS) {
        [word, saidAt] = [answer.label, performance.now()];
        view.say(word);
      }
      return watched === mine;
    });
  });
}

function stop() {
  if (watched) {
    watched = null;
    byId('teach-hold').disabled = true;
    close(video);
    view.hideStage();
  }
}

function clear() {
  stop();
  photos.forEach((photo) => URL.revokeObjectURL(photo.address));
  photos = [];
  byId('grid').replaceChildren();
  count();
  view.hideStage();
  view.showProblem();
  byId('choose').focus();
}

/** Teaches the name in the field from the frames that are shown while `goesOn`. */
async function teach(goesOn) {
  const label = byId('teach-name').value.trim();
  await guarded(async () => {
    if (!label) {
      throw new Error('Name what you teach first.');
    }
    await teacher.teach(label, video, goesOn, (frame, frames) => view.say(`${label}: ${frame} of ${frames} frames`));
    view.showProblem();
  });
  view.showTaught(teacher.taught, forget);
}

function forget(label) {
  teacher.forget(label);
  view.showTaught(teacher.taught, forget);
  view.say(`${label} is forgotten`);
}

async function guarded(task) {
  try {
    await task();
  } catch (error) {
    view.showProblem(error.message);
  }
}

function listen() {
  byId('choose').addEventListener('click', () => byId('photos').click());
  byId('film').addEventListener('click', () => byId('video').click());
  byId('camera').addEventListener('click', () => watch('Camera', () => openCamera(video)));
  byId('stop').addEventListener('click', () => {
    stop();
    byId('camera').focus();
  });
  byId('why').addEventListener('click', explain);
  byId('clear').addEventListener('click', clear);
  byId('teach-hold').addEventListener('pointerdown', () => {
    held = true;
    teach(() => held);
  });
  addEventListener('pointerup', () => (held = false));
  byId('teach-hold').addEventListener('click', (event) => {
    if (event.detail === 0) {
      teach(() => true); // by keyboard, which cannot be held
    }
  });
  for (const input of [byId('photos'), byId('video')]) {
    input.addEventListener('change', () => {
      const files = [...input.files];
      input.value = ''; // so that the same file can be chosen again
      take(files);
    });
  }
  addEventListener('paste', (event) => take([...event.clipboardData.files]));
  addEventListener('dragover', (event) => {
    event.preventDefault();
    byId('drop').classList.add('over');
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) {
      byId('drop').classList.remove('over');
    }
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    byId('drop').classList.remove('over');
    take([...event.dataTransfer.files]);
  });
}

listen();
