/** What the page has beside the model: files to download, test photos to try, figures of thresholds. */

import {byId, make, show} from './view.js';

/** What there is; a site of another tool has nothing. */
export async function about() {
  const response = await fetch('about.json');
  return response.ok ? response.json() : {files: [], samples: [], thresholds: []};
}

export function showFiles(files) {
  byId('files-count').textContent = `(${files.length})`;
  const rows = files.map(({name, title, address}) => {
    const link = Object.assign(make('a', '', title), {href: address});
    if (/\.(html|md|json|txt)$/.test(name)) {
      link.target = '_blank';
    } else {
      link.download = name;
    }
    return make('li', '', link, ' ', make('span', 'dim', name));
  });
  byId('files').replaceChildren(...rows);
  show(byId('files').closest('details'), files.length > 0);
}

/**
 * Offers photos to try.
 *
 * @param {object[]} samples of ABOUT: {name, label, address}.
 * @param {(file: File) => Promise} take receives the one that is chosen.
 */
export function offerSamples(samples, take) {
  const tiles = samples.map(({name, label, address}) => {
    const image = Object.assign(make('img', ''), {src: address, alt: '', loading: 'lazy', decoding: 'async'});
    const tile = make('button', 'sample', image, make('span', '', label));
    tile.type = 'button';
    tile.setAttribute('aria-label', `Try a test photo of ${label}: ${name}`);
    tile.addEventListener('click', async () => {
      const response = await fetch(address);
      const content = await response.blob();
      await take(new File([content], name, {type: content.type}));
    });
    return make('li', '', tile);
  });
  byId('samples').replaceChildren(...tiles);
  show(byId('samples-box'), samples.length > 0);
}
