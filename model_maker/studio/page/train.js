/** Train: one button, progress, and what came of it. */

import {ask} from './dialogs.js';
import {button, byId, counted, make, percent, show, sync} from './elements.js';
import {drawProgress} from './progress.js';

let shared;
let told = 0;

export function start(studio) {
  shared = studio;
  byId('train-start').addEventListener('click', begin);
  byId('train-cancel').addEventListener('click', () => studio.act('cancel'));
}

export function draw({state, pulse}) {
  drawOptions(state.options);
  const filled = state.classes.filter(({photos}) => photos.length);
  const total = filled.reduce((sum, {photos}) => sum + photos.length, 0);
  byId('train-hint').textContent =
    filled.length < 2
      ? 'Training needs photos of at least two classes: collect some first.'
      : `${counted(total, 'photo')} of ${filled.length} classes. A part is kept aside to measure the model on.`;
  byId('train-start').textContent = state.result ? 'Train again' : 'Train';
  byId('train-start').disabled = filled.length < 2 || pulse?.job.state === 'running';
  drawResult(state.result, state.classes.map(({name}) => name));
}

export function beat({state, pulse}) {
  const {job} = pulse;
  const runs = drawProgress('train', job, 'train');
  show(byId('train-cancel'), runs);
  if (state) {
    byId('train-start').disabled = job.state === 'running' || state.classes.filter(({photos}) => photos.length).length < 2;
  }
  if (job.kind === 'train' && job.number !== told && job.state !== 'running') {
    told = job.number;
    job.state === 'failed' && shared.tell(job.message);
    job.state === 'cancelled' && shared.say('Training was cancelled; the last model is still there.');
    job.state === 'done' && shared.say('Training has ended.');
  }
}

async function begin() {
  const options = {};
  for (const [name, value] of new FormData(byId('train-options'))) {
    if (value !== '') {
      options[name] = name === 'max_drop' ? Number(value) : value;
    }
  }
  const body = {options};
  if (shared.state.result?.foreign) {
    const text = `${shared.state.model} holds a model that was not made here. It is replaced.`;
    if (!(await ask({title: 'Replace the model?', text, yes: 'Replace'}))) {
      return;
    }
    body.replace = true;
  }
  await shared.act('train', body);
}

function drawOptions(options) {
  const form = byId('train-options');
  if (form.children.length) {
    return;
  }
  for (const {name, label, help, choices} of options) {
    const field = choices
      ? make('select', {}, ...['', ...choices].map((choice) => make('option', {value: choice}, choice || 'as it comes')))
      : make('input', {type: 'number', min: 0, max: 99, step: 'any'});
    Object.assign(field, {id: `option-${name}`, name});
    form.append(make('label', {htmlFor: field.id, title: help}, label), field);
  }
}

function drawResult(result, names) {
  show(byId('result'), result !== null);
  if (!result) {
    return;
  }
  byId('result-top').textContent = `${percent(result.top1)} correct`;
  byId('result-words').textContent = result.words;
  const time = result.seconds === null ? '' : `, trained in ${result.seconds.toFixed(1)} s`;
  byId('result-facts').textContent = `${result.labels.length} classes, ${(result.size_bytes / 1e6).toFixed(2)} MB${time}`;
  show(byId('confusions-box'), result.confusions.length > 0);
  byId('confusions').replaceChildren(
    ...result.confusions.map(({true: own, answer, count, of}) =>
      make('li', {}, make('strong', {}, own), ' taken for ', make('strong', {}, answer), `: ${count} of ${of}`),
    ),
  );
  const mistakes = result.mistakes.filter(({id}) => id !== null);
  show(byId('mistakes-box'), mistakes.length > 0);
  sync(byId('mistakes'), mistakes, ({id}) => id, (mistake) => mistakeCard(mistake, names));
  show(byId('notes-box'), result.notes.length > 0);
  byId('notes-count').textContent = `(${result.notes.length})`;
  byId('notes').replaceChildren(...result.notes.map((note) => make('li', {}, note)));
}

function mistakeCard({id, true: own, answer, score}, names) {
  const select = make('select', {}, ...names.filter((name) => name !== own).map((name) => make('option', {value: name}, name)));
  select.value = answer;
  select.setAttribute('aria-label', `Right class of this photo of ${own}`);
  return make(
    'li',
    {className: 'card finding'},
    make('img', {src: `thumbnail/${id}`, alt: `Photo in ${own}`, loading: 'lazy'}),
    make('p', {}, 'In ', make('strong', {}, own), ', taken for ', make('strong', {}, answer), ` (${percent(score)})`),
    make(
      'div',
      {className: 'row'},
      select,
      button('Move', () => shared.act('move', {photos: [id], to: select.value})),
      button('Delete', () => shared.act('delete', {photos: [id]})),
    ),
  );
}
