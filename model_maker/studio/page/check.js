/** Check: what the doctor finds, each with its photos, a fix, and undo. */

import {button, byId, counted, make, show, sync} from './elements.js';
import {drawProgress} from './progress.js';

const SEVERITIES = {serious: 'Serious', look: 'Worth a look', know: 'Good to know'};

let shared;
let told = 0;
// Findings that somebody has looked at and found right, in this visit.
const passed = new Set();

export function start(studio) {
  shared = studio;
  byId('check-start').addEventListener('click', () => studio.act('check'));
  byId('check-cancel').addEventListener('click', () => studio.act('cancel'));
}

export function beat({pulse}) {
  const {job} = pulse;
  show(byId('check-cancel'), drawProgress('check', job, 'check'));
  byId('check-start').disabled = job.state === 'running';
  if (job.kind === 'check' && job.number !== told && job.state !== 'running') {
    told = job.number;
    job.state === 'failed' && shared.tell(job.message);
    job.state === 'done' && shared.say('The check has ended.');
  }
}

export function draw({state}) {
  const box = byId('findings');
  if (!state.findings) {
    box.replaceChildren();
    return;
  }
  const classOf = new Map(state.classes.flatMap(({name, photos}) => photos.map(({id}) => [id, name])));
  const groups = state.findings.groups
    .map((group) => ({...group, found: group.found.map((one, index) => ({...one, key: `${group.kind} ${index}`}))}))
    .map((group) => ({...group, found: group.found.filter((one) => isOpen(one, classOf))}))
    .filter(({found}) => found.length);
  const notes = state.findings.notes.map((note) => make('p', {className: 'dim'}, note));
  const head = make('p', {}, groups.length ? 'Fixed problems leave the list; undo restores them.' : 'No problems left.');
  box.replaceChildren(head, ...groups.map((group) => section(group, classOf)), ...notes);
}

/** A finding is there as long as its photos are where they were, and nobody has called it right. */
function isOpen({key, photos}, classOf) {
  const gone = photos.filter((photo) => !classOf.has(photo.id)).length;
  const left = photos.length - gone;
  return !passed.has(key) && (photos.length === 0 || (photos.length === 1 ? left === 1 : left > (gone ? 1 : 0)));
}

function section({title, severity, advice, count, found}, classOf) {
  const list = make('ul', {className: 'cards'});
  sync(list, found, ({key}) => key, (one) => card(one, classOf));
  return make(
    'section',
    {className: 'group'},
    make('h3', {}, `${title} (${count})`),
    make('p', {className: 'dim'}, `${SEVERITIES[severity]}. ${advice}`),
    list,
  );
}

function card({key, text, photos, removable, suggestion}, classOf) {
  const here = photos.filter(({id}) => classOf.has(id));
  const ids = here.map(({id}) => id);
  const spare = removable.filter((id) => classOf.has(id));
  const buttons = [];
  if (suggestion && shared.state.classes.some(({name}) => name === suggestion)) {
    buttons.push(button(`Move to ${suggestion}`, () => shared.act('move', {photos: ids, to: suggestion})));
  }
  if (spare.length) {
    const what = spare.length === ids.length ? counted(spare.length, 'photo') : counted(spare.length, 'copy', 'copies');
    buttons.push(button(`Delete ${what}`, () => shared.act('delete', {photos: spare})));
  } else if (ids.length) {
    buttons.push(button(`Delete ${counted(ids.length, 'photo')}`, () => shared.act('delete', {photos: ids})));
  }
  if (ids.length) {
    buttons.push(button('It is right', () => (passed.add(key), draw(shared))));
  }
  const pictures = here.map(({id, class: name, name: file}) =>
    make('img', {src: `thumbnail/${id}`, alt: `${file} in ${name}`, loading: 'lazy'}),
  );
  const names = here.map(({class: name, name: file}) => (name ? `${name}/${file}` : file)).join(', ');
  const about = ids.length ? [make('p', {className: 'dim'}, names), make('div', {className: 'row'}, ...buttons)] : [];
  const seen = ids.length ? [make('div', {className: 'several'}, ...pictures)] : [];
  return make('li', {className: 'card finding'}, ...seen, make('p', {}, text), ...about);
}
