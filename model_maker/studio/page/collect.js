/** Collect: classes and their photos. */

import {openCapture} from './camera.js';
import {ask} from './dialogs.js';
import {button, byId, counted, fillSelect, make, show, sync} from './elements.js';
import * as files from './files.js';

// Of a class, so many thumbnails until all are asked for.
const SHOWN = 18;

const chosen = new Set();
const opened = new Set();
let shared;

export function start(studio) {
  shared = studio;
  byId('new-class').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (await studio.act('add_class', {name: byId('class-name').value})) {
      byId('class-name').value = '';
      byId('class-name').focus();
    }
  });
  const folder = Object.assign(make('input', {type: 'file', hidden: true, multiple: true}), {webkitdirectory: true});
  folder.setAttribute('aria-label', 'A folder of classes');
  byId('new-class').append(folder);
  byId('choose-folder').addEventListener('click', () => folder.click());
  folder.addEventListener('change', () => studio.guarded(() => take(files.chosen(folder.files), null)));
  byId('selection-none').addEventListener('click', () => choose());
  byId('selection-delete').addEventListener('click', () => studio.act('delete', {photos: [...chosen]}).then(() => choose()));
  byId('selection-move').addEventListener('click', () => {
    studio.act('move', {photos: [...chosen], to: byId('selection-class').value}).then(() => choose());
  });
  byId('collect').addEventListener('drop', (event) => {
    event.preventDefault();
    const card = event.target.closest('.class');
    const label = card ? card.dataset.key : null;
    studio.guarded(async () => take(await files.dropped(event.dataTransfer), label));
  });
  for (const kind of ['dragover', 'dragleave', 'drop']) {
    byId('collect').addEventListener(kind, (event) => {
      document.querySelectorAll('.class.over').forEach((card) => card.classList.remove('over'));
      kind === 'dragover' && event.target.closest('.class')?.classList.add('over');
    });
  }
  addEventListener('paste', (event) => {
    const pasted = [...event.clipboardData.files];
    if (pasted.length && !byId('collect').hidden) {
      studio.guarded(async () => {
        const label = await whichClass('Which class are the pasted photos of?');
        label !== null && (await take(pasted.map((file) => ({file, folders: []})), label));
      });
    }
  });
}

export function draw({state}) {
  const names = state.classes.map(({name}) => name);
  const largest = Math.max(1, ...state.classes.map(({photos}) => photos.length));
  const known = new Set(state.classes.flatMap(({photos}) => photos.map(({id}) => id)));
  [...chosen].filter((id) => !known.has(id)).forEach((id) => chosen.delete(id));
  fillSelect(byId('selection-class'), names);
  sync(byId('classes'), state.classes, ({name}) => name, card, (element, entry) => fill(element, entry, largest));
  byId('balance').textContent = balance(state.classes);
  drawSelection();
}

export function beat({pulse}) {
  const [done, total] = pulse.embedded;
  const prepared = pulse.ready ? 'All photos are prepared for training.' : 'Preparing for training: the last step';
  byId('embedded').textContent =
    done < total ? `Preparing for training: ${done} of ${counted(total, 'photo')}` : total ? prepared : '';
}

function balance(classes) {
  const counts = classes.map(({photos}) => photos.length);
  if (counts.length < 2) {
    return 'A model tells at least two classes apart.';
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const words = `${counted(total, 'photo')} in ${counts.length} classes.`;
  if (least === 0) {
    return `${words} Empty classes are left out of the training.`;
  }
  return most > 2 * least ? `${words} The classes are uneven: more photos of the small ones help most.` : words;
}

function card({name}) {
  const input = make('input', {type: 'file', multiple: true, hidden: true, accept: 'image/*,video/*,.zip,.heic,.heif'});
  input.setAttribute('aria-label', `Photos of ${name}`);
  input.addEventListener('change', () => shared.guarded(() => take(files.chosen(input.files), name)).then(() => (input.value = '')));
  const more = button('', () => {
    opened.has(name) ? opened.delete(name) : opened.add(name);
    draw(shared);
  }, {className: 'more'});
  const title = make('h3', {}, name);
  const named = (text, act) => {
    const found = button(text, act);
    found.setAttribute('aria-label', `${text}: ${name}`);
    return found;
  };
  return make(
    'li',
    {className: 'class card'},
    make('div', {className: 'class-head'}, title, make('span', {className: 'count'})),
    make('div', {className: 'track'}, make('div', {className: 'fill'})),
    make(
      'div',
      {className: 'row'},
      named('Add photos', () => input.click()),
      named('Camera', () => openCapture(name, (shots) => shared.guarded(() => shared.upload(shots)), shared.tell)),
      named('Rename', () => rename(name)),
      named('Merge', () => merge(name)),
      named('Delete', () => shared.act('delete_class', {name})),
      input,
    ),
    make('ul', {className: 'thumbs'}),
    more,
  );
}

function fill(element, {name, photos}, largest) {
  element.querySelector('.count').textContent = counted(photos.length, 'photo');
  element.querySelector('.fill').style.width = `${(100 * photos.length) / largest}%`;
  const shown = opened.has(name) ? photos : photos.slice(-SHOWN);
  sync(element.querySelector('.thumbs'), shown, ({id}) => id, thumbnail, (tile, {id}) => {
    tile.firstChild.setAttribute('aria-pressed', String(chosen.has(id)));
  });
  const more = element.querySelector('.more');
  show(more, photos.length > SHOWN);
  more.textContent = opened.has(name) ? 'Show fewer' : `Show all ${photos.length}`;
}

function thumbnail({id, name}) {
  const image = make('img', {alt: name, loading: 'lazy', decoding: 'async', src: `thumbnail/${id}`, title: name});
  const tile = make('button', {type: 'button', className: 'thumb'}, image);
  tile.addEventListener('click', () => choose(id));
  return make('li', {}, tile);
}

/** Chooses a photo, or no longer; without one, none is chosen. */
function choose(id = null) {
  if (id === null) {
    chosen.clear();
  } else if (!chosen.delete(id)) {
    chosen.add(id);
  }
  for (const tile of byId('classes').querySelectorAll('.thumbs > li')) {
    tile.firstChild.setAttribute('aria-pressed', String(chosen.has(tile.dataset.key)));
  }
  drawSelection();
}

function drawSelection() {
  show(byId('selection'), chosen.size > 0);
  byId('selection-count').textContent = `${counted(chosen.size, 'photo')} chosen`;
}

async function rename(name) {
  const to = await ask({title: `Rename ${name}`, label: 'New name', value: name, yes: 'Rename'});
  to !== null && to !== name && shared.act('rename_class', {name, to});
}

async function merge(name) {
  const others = shared.state.classes.map((entry) => entry.name).filter((other) => other !== name);
  if (!others.length) {
    shared.tell('There is no other class to merge it with.');
    return;
  }
  const into = await ask({title: `Merge ${name}`, label: 'Move its photos to', choices: others, yes: 'Merge'});
  into !== null && shared.act('merge_classes', {name, into});
}

function whichClass(title) {
  const names = shared.state.classes.map(({name}) => name);
  if (!names.length) {
    shared.tell('Add a class first.');
    return null;
  }
  return ask({title, label: 'Class', choices: names, yes: 'Add'});
}

/** Sends what was given: to a class, or by the folders that photos lie in. */
async function take(given, label) {
  const wanted = given.filter(({file}) => files.isWanted(file) || files.isVideo(file));
  if (!wanted.length) {
    shared.tell('There are no photos among these files.');
    return;
  }
  const loose = label === null && wanted.some(({file, folders}) => !folders.length && !files.isArchive(file));
  const fallback = loose ? await whichClass('Which class are these photos of?') : label;
  if (loose && fallback === null) {
    return;
  }
  const ready = [];
  for (const {file, folders} of wanted) {
    // `flowers/rose/1.jpg` and `rose/1.jpg` are of the class rose.
    const home = label ?? folders.at(-1) ?? (files.isArchive(file) ? null : fallback);
    if (files.isVideo(file)) {
      shared.say(`Taking frames out of ${file.name}`);
      ready.push(...(await files.frames(file)).map((frame) => ({...frame, label: home})));
    } else {
      ready.push({blob: file, name: file.name, label: home});
    }
  }
  const known = new Set(shared.state.classes.map(({name}) => name));
  for (const name of new Set(ready.map((entry) => entry.label))) {
    if (name !== null && !known.has(name)) {
      await shared.act('add_class', {name});
    }
  }
  await shared.upload(ready);
}
