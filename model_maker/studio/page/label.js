/** Label: a pile of photos, those first that teach most; a key for each answer. */

import {button, byId, counted, percent, show, sync} from './elements.js';
import * as files from './files.js';

// After so many answers the rest is sorted anew, for the model knows more by then.
const BATCH = 10;

let shared;
let told = 0;
let answered = 0;
const skipped = new Set();

export function start(studio) {
  shared = studio;
  byId('pile-choose').addEventListener('click', () => byId('pile-photos').click());
  byId('pile-photos').addEventListener('change', () => {
    const given = files.chosen(byId('pile-photos').files);
    byId('pile-photos').value = '';
    take(given);
  });
  byId('label').addEventListener('drop', async (event) => take(await files.dropped(event.dataTransfer)));
  byId('queue-start').addEventListener('click', () => studio.act('queue'));
  byId('queue-skip').addEventListener('click', skip);
  byId('queue-delete').addEventListener('click', remove);
  addEventListener('keydown', key);
}

export function draw({state, pulse}) {
  const pile = new Set(state.unlabelled.map(({id}) => id));
  byId('pile-count').textContent = pile.size ? `${counted(pile.size, 'photo')} without a label.` : 'No photos wait for a label.';
  byId('queue-start').disabled = !pile.size || pulse?.job.state === 'running';
  const photo = next(state);
  show(byId('labelling'), photo !== null);
  if (!photo) {
    return;
  }
  const address = `photo/${photo.id}`;
  if (byId('queue-photo').getAttribute('src') !== address) {
    byId('queue-photo').src = address;
  }
  byId('queue-name').textContent = photo.name;
  const known = state.classes.some(({name}) => name === photo.guess);
  byId('queue-guess').textContent = known ? `Looks like ${photo.guess} (${percent(photo.score)}). Enter accepts.` : 'No guess yet: choose its class.';
  const choices = state.classes.map(({name}, index) => ({name, index}));
  sync(
    byId('queue-classes'),
    choices,
    ({name, index}) => `${index} ${name}`,
    ({name, index}) => button(index < 9 ? `${index + 1} ${name}` : name, () => answer(name)),
    (element, {name}) => element.classList.toggle('main', name === photo.guess),
  );
}

export function beat({state, pulse}) {
  const {job} = pulse;
  byId('queue-start').disabled = job.state === 'running' || !state?.unlabelled.length;
  if (job.kind === 'queue' && job.number !== told && job.state !== 'running') {
    told = job.number;
    job.state === 'failed' && shared.tell(job.message);
    job.state === 'done' && skipped.clear();
    job.state === 'done' && shared.say('The photos are sorted.');
  }
}

/** The photo to label now: the first of the queue that still waits, then the rest of the pile. */
function next(state) {
  const waiting = new Map(state.unlabelled.map((photo) => [photo.id, photo]));
  const queued = state.queue.find(({id}) => waiting.has(id) && !skipped.has(id));
  const other = () => state.unlabelled.find(({id}) => !skipped.has(id));
  return queued ?? other() ?? null;
}

async function answer(name) {
  const photo = next(shared.state);
  if (photo && (await shared.act('move', {photos: [photo.id], to: name}))) {
    shared.say(`${photo.name}: ${name}`);
    answered += 1;
    if (answered % BATCH === 0 && shared.state.unlabelled.length > 1 && shared.pulse?.job.state !== 'running') {
      await shared.act('queue');
    }
  }
}

function skip() {
  const photo = next(shared.state);
  photo && skipped.add(photo.id);
  draw(shared);
}

function remove() {
  const photo = next(shared.state);
  photo && shared.act('delete', {photos: [photo.id]});
}

function key(event) {
  const elsewhere = byId('label').hidden || byId('labelling').hidden || document.querySelector('dialog[open]');
  if (elsewhere || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest('button, a, input, select')) {
    return;
  }
  const names = shared.state.classes.map(({name}) => name);
  const photo = next(shared.state);
  if (event.key === 'Enter' && names.includes(photo.guess)) {
    answer(photo.guess);
  } else if (/^[1-9]$/.test(event.key) && Number(event.key) <= names.length) {
    answer(names[Number(event.key) - 1]);
  } else if (event.key.toLowerCase() === 's') {
    skip();
  } else if (event.key === 'Delete') {
    remove();
  }
}

function take(given) {
  const wanted = given.filter(({file}) => files.isWanted(file) || files.isVideo(file));
  return shared.guarded(async () => {
    const ready = [];
    for (const {file} of wanted) {
      const some = files.isVideo(file) ? await files.frames(file) : [{blob: file, name: file.name}];
      ready.push(...some.map((one) => ({...one, label: null, pile: true})));
    }
    await shared.upload(ready);
  });
}
