/** Check: what the doctor finds, each with its photos, a fix, and undo. */

import {button, byId, counted, make, show, sync} from './elements.js';
import {drawProgress} from './progress.js';

const SEVERITIES = {serious: 'Serious', look: 'Worth a look', know: 'Good to know'};

let shared;
let told = 0;

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
  const {findings} = state;
  show(byId('findings'), findings !== null);
  if (!findings) {
    return;
  }
  const since = findings.changed ? ' Photos have changed since this check: check again for what is new.' : '';
  byId('findings-head').textContent =
    (findings.groups.length ? 'Fixed problems leave the list; undo restores them.' : 'No problems left.') + since;
  const focused = place();
  sync(byId('findings-groups'), findings.groups, ({kind}) => kind, section, fill);
  byId('findings-notes').replaceChildren(...findings.notes.map((note) => make('p', {className: 'dim'}, note)));
  // The card with the button that was just used is gone: the next one takes its place, also for the keyboard.
  if (focused >= 0 && !byId('findings').contains(document.activeElement)) {
    const cards = byId('findings-groups').querySelectorAll('.finding');
    (cards[Math.min(focused, cards.length - 1)]?.querySelector('button') ?? byId('check-start')).focus();
  }
}

/** The number of the card with the focus; -1 where none has it. */
function place() {
  return [...byId('findings-groups').querySelectorAll('.finding')].findIndex((card) => card.contains(document.activeElement));
}

function section({title, severity, advice}) {
  return make(
    'section',
    {className: 'group'},
    make('h3', {}, title),
    make('p', {className: 'dim'}, `${SEVERITIES[severity]}. ${advice}`),
    make('ul', {className: 'cards'}),
    make('p', {className: 'dim'}),
  );
}

function fill(element, {title, found, more}) {
  element.querySelector('h3').textContent = `${title} (${found.length + more})`;
  // A card says which of its photos are left.
  const name = ({key, photos}) => [key, ...photos.map(({id}) => id)].join(' ');
  sync(element.querySelector('ul'), found, name, card);
  const rest = element.lastElementChild;
  show(rest, more > 0);
  rest.textContent = `${more} more: work through these, then check again.`;
}

function card({key, text, photos, removable: spare, suggestion}) {
  const ids = photos.map(({id}) => id);
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
    buttons.push(button('It is right', () => shared.act('accept', {finding: key})));
  }
  const pictures = photos.map(({id, class: name, name: file}) =>
    make('img', {src: `thumbnail/${id}`, alt: `${file} in ${name}`, loading: 'lazy'}),
  );
  const names = photos.map(({class: name, name: file}) => (name ? `${name}/${file}` : file)).join(', ');
  const about = ids.length ? [make('p', {className: 'dim'}, names), make('div', {className: 'row'}, ...buttons)] : [];
  const seen = ids.length ? [make('div', {className: 'several'}, ...pictures)] : [];
  return make('li', {className: 'card finding'}, ...seen, make('p', {}, text), ...about);
}
