/** What the page asks of the studio. Addresses are relative: the page's own holds the token. */

// Uploads at a time; a browser has six connections for a page, and one of them follows the progress.
const UPLOADS = 4;

/** What the studio refuses, in a line for people. */
export class Refusal extends Error {}

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refusal('The studio does not answer. Is it still running in the terminal?');
  }
  const content = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Refusal(content.error ?? `The studio says ${response.status}.`);
  }
  return content;
}

/** All that is shown but for progress. */
export function state() {
  return answer(fetch('api/state'));
}

/** Asks for something to be done. */
export function act(name, body = {}) {
  return answer(fetch(`api/do/${name}`, {method: 'POST', body: JSON.stringify(body)}));
}

/**
 * Sends files, a few at a time, in their order.
 *
 * @param {{blob: Blob, name: string, label: ?string, pile: ?boolean}[]} files `label` is the class; without one a zip
 *   file goes by its own folders; `pile` puts them among those without a label.
 * @param {{photo: number, archive: number}} limits bytes that a file may have.
 * @param {(done: number, total: number) => void} progress
 * @returns {Promise<{taken: number, refused: string[]}>}
 */
export async function upload(files, limits, progress) {
  const found = {taken: 0, refused: []};
  let next = 0;
  let done = 0;
  async function work() {
    while (next < files.length) {
      const {blob, name, label, pile = false} = files[next];
      next += 1;
      const query = new URLSearchParams({name, ...(label === null ? {} : {class: label}), ...(pile ? {pile: 1} : {})});
      const most = name.toLowerCase().endsWith('.zip') ? limits.archive : limits.photo;
      try {
        if (blob.size > most) {
          throw new Refusal(`larger than ${most >> 20} MB, which is the most that is taken.`);
        }
        const {taken, refused} = await answer(fetch(`api/upload?${query}`, {method: 'PUT', body: blob}));
        found.taken += taken;
        found.refused.push(...refused);
      } catch (error) {
        if (!(error instanceof Refusal)) {
          throw error;
        }
        found.refused.push(`${name}: ${error.message}`);
      }
      done += 1;
      progress(done, files.length);
    }
  }
  await Promise.all(Array.from({length: UPLOADS}, work));
  return found;
}

/**
 * Calls `tell` with each pulse of the studio, and with null when it falls silent. A tab that nobody sees lets go of its
 * connection: a browser has six for all tabs of a studio.
 */
export function follow(tell) {
  let source = null;
  const turn = () => {
    source?.close();
    source = null;
    if (!document.hidden) {
      source = new EventSource('api/events');
      source.onmessage = ({data}) => tell(JSON.parse(data));
      source.onerror = () => tell(null);
    }
  };
  document.addEventListener('visibilitychange', turn);
  turn();
}
