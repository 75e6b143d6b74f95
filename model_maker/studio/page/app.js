/** Puts it together: the state of the studio, the views of it, what is said. */

import * as api from './api.js';
import * as check from './check.js';
import * as collect from './collect.js';
import {byId, show} from './elements.js';
import * as label from './label.js';
import * as ship from './ship.js';
import * as train from './train.js';
import * as trial from './trial.js';

const VIEWS = {collect, train, try: trial, check, label, ship};

/**
 * What views share.
 *
 * state: what the studio last told; null before.
 * pulse: how its work stands.
 */
const studio = {state: null, pulse: null, act, refresh, say, tell, guarded, upload};
let refreshing = null;

/** Asks for something to be done, and shows what came of it; returns the answer, or null where it was refused. */
async function act(name, body) {
  return guarded(async () => {
    const answer = await api.act(name, body);
    await refresh();
    return answer;
  });
}

/** Sends files and says what was refused. */
async function upload(files) {
  if (!studio.state) {
    await refresh(); // somebody was quicker than the first answer
  }
  const found = await api.upload(files, studio.state.limits, (done, total) => say(`${done} of ${total} files sent`, done === total));
  if (found.refused.length) {
    const more = found.refused.length > 3 ? ` And ${found.refused.length - 3} more.` : '';
    tell(`${found.refused.slice(0, 3).join(' ')}${more}`);
  }
  await refresh();
  say(`${found.taken} ${found.taken === 1 ? 'photo' : 'photos'} added`);
  return found;
}

/** Does something; errors are shown. */
async function guarded(task) {
  tell('');
  try {
    return await task();
  } catch (error) {
    tell(error.message);
    return null;
  }
}

/** One clear line; an empty one takes it away. */
function tell(text) {
  byId('problem').textContent = text;
  show(byId('problem'), text !== '');
  if (text) {
    byId('problem').scrollIntoView({block: 'nearest'});
  }
}

/** Tells those who listen. */
function say(text) {
  byId('said').textContent = text;
}

async function refresh() {
  // Whoever asks while one is on its way gets the next one: its answer may be older than what was just done.
  const before = refreshing;
  const mine = (async () => {
    await before?.catch(() => {});
    studio.state = await api.state();
    draw();
  })();
  refreshing = mine;
  await mine;
}

function draw() {
  byId('folder').textContent = studio.state.folder;
  document.title = `${studio.state.folder.split(/[/\\]/).at(-1)} – Studio`;
  show(byId('undo-bar'), studio.state.undo !== '');
  byId('undo-what').textContent = studio.state.undo && `Last: ${studio.state.undo}.`;
  Object.values(VIEWS).forEach((view) => view.draw(studio));
}

function beat(pulse) {
  if (pulse === null) {
    tell('The studio does not answer. Is it still running in the terminal?');
    return;
  }
  const before = studio.pulse;
  if (byId('problem').textContent.startsWith('The studio does not answer')) {
    tell('');
  }
  studio.pulse = pulse;
  const ended = before?.job.state === 'running' && pulse.job.state !== 'running';
  if (ended || pulse.stamp !== studio.state?.stamp) {
    guarded(refresh);
  }
  Object.values(VIEWS).forEach((view) => view.beat?.(studio));
}

/** Shows the view that the address names. */
function turn() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : 'collect';
  for (const other of Object.keys(VIEWS)) {
    show(byId(other), other === name);
    const link = byId('steps').querySelector(`a[href="#${other}"]`);
    other === name ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
  }
  Object.entries(VIEWS).forEach(([other, view]) => other !== name && view.leave?.(studio));
  VIEWS[name].enter?.(studio);
  scrollTo(0, 0);
}

byId('undo').addEventListener('click', async () => {
  const answer = await act('undo');
  if (answer) {
    say(`Undone: ${answer.undone}`);
  }
});
// Whatever is dropped beside a place for it stays what it is, instead of taking the page's place.
for (const kind of ['dragover', 'drop']) {
  addEventListener(kind, (event) => event.preventDefault());
}
Object.values(VIEWS).forEach((view) => view.start(studio));
addEventListener('hashchange', turn);
turn();
guarded(refresh);
api.follow(beat);
