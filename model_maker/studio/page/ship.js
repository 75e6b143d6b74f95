/** Ship: everything that comes of a training, and what each is for. */

import {button, byId, make, sync} from './elements.js';
import {drawProgress} from './progress.js';
import {limit} from './trial.js';

let shared;
let told = 0;

export function start(studio) {
  shared = studio;
  byId('threshold').addEventListener('input', () => studio.state && draw(studio));
}

export function beat({pulse}) {
  const {job} = pulse;
  drawProgress('ship', job, 'ship');
  byId('ship-files').querySelectorAll('button').forEach((each) => (each.disabled = job.state === 'running'));
  if (job.kind === 'ship' && job.number !== told && job.state !== 'running') {
    told = job.number;
    job.state === 'failed' && shared.tell(job.message);
    job.state === 'done' && shared.say(`${job.result.name} is made.`);
    job.result.failures?.length && shared.tell(job.result.failures.join(' '));
  }
}

export function draw({state}) {
  byId('ship-hint').textContent = state.result
    ? `Whatever training made is also in ${state.model}.`
    : 'There is no model yet: train first.';
  const least = limit();
  // What it takes to make a file, or whether it is there, changes what stands in its row.
  const key = ({name, ready, obstacle}) => `${name} ${ready} ${Boolean(obstacle)} ${least}`;
  const group = ({title}) => make('section', {}, make('h3', {}, title), make('ul', {className: 'ship'}));
  sync(byId('ship-files'), state.result ? state.shipped : [], ({title}) => title, group, (element, {rows}) => {
    sync(element.lastElementChild, rows, key, (entry) => row(entry, least));
  });
}

function row({name, title, what, ready, obstacle, takes_threshold: able}, least) {
  const takes = able && least > 0;
  const address = `model/${encodeURIComponent(name)}${takes ? `?threshold=${least}` : ''}`;
  const act = ready
    ? make('a', {href: address, download: name}, 'Download')
    : button('Make', () => shared.act('ship', {name}), {disabled: Boolean(obstacle)});
  act.setAttribute('aria-label', `${act.textContent}: ${title}`);
  const remark = takes ? ` Scores below ${least} are “unknown” in it.` : '';
  return make(
    'li',
    {className: 'card'},
    make('div', {className: 'grow'}, make('h4', {}, title), make('p', {className: 'dim'}, obstacle || what + remark)),
    act,
  );
}
