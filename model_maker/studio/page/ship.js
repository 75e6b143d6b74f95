/** Ship: everything that comes of a training, and what each is for. */

import {byId, make, sync} from './elements.js';

export function start() {}

export function draw({state}) {
  byId('ship-hint').textContent = state.result
    ? `All of this is also in ${state.model}.`
    : 'There is no model yet: train first.';
  sync(byId('ship-files'), state.result ? state.shipped : [], ({name}) => name, row);
}

function row({name, title, what}) {
  return make(
    'li',
    {className: 'card'},
    make('a', {href: `model/${name}`, download: name}, title),
    make('span', {className: 'dim'}, what),
  );
}
