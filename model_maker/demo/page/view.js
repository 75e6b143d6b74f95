/** What people see: the model's facts, one answer, the tiles of many photos. Nothing is classified here. */

export const byId = (id) => document.getElementById(id);

/** Makes an element; `content` is text or elements. */
export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...content);
  return element;
}

export function show(element, visible) {
  element.hidden = !visible;
}

export function percent(score) {
  return `${(100 * score).toFixed(1)} %`;
}

/** One clear line; none takes it away. */
export function showProblem(text = '') {
  byId('problem').textContent = text;
  show(byId('problem'), text !== '');
}

/** Shows what was taught, [label, number of frames] each, with a button that takes it back. */
export function showTaught(taught, forget) {
  show(byId('teach'), true);
  const rows = taught.map(([label, frames]) => {
    const button = make('button', '', 'Undo');
    button.type = 'button';
    button.setAttribute('aria-label', `Undo ${label}`);
    button.addEventListener('click', () => forget(label));
    return make('li', '', make('span', '', `${label}, ${frames} ${frames === 1 ? 'frame' : 'frames'}`), ' ', button);
  });
  byId('taught').replaceChildren(...rows);
}

/** Tells those who listen; a change of the picture alone would stay unheard. */
export function say(text) {
  byId('said').textContent = text;
}

export function showModel(info, bytes) {
  const name = info.name || 'Image classifier';
  const {shape, type} = info.input;
  document.title = name;
  byId('name').textContent = name;
  const size = `${(bytes.length / 1e6).toFixed(2)} MB`;
  byId('facts').textContent = [
    `${info.labels.length} ${info.labels.length === 1 ? 'label' : 'labels'}`,
    `${shape[2]} × ${shape[1]} pixels`,
    size,
    ...accuracy(info),
  ].join(' · ');
  byId('labels-count').textContent = `(${info.labels.length})`;
  byId('labels').replaceChildren(...info.labels.map((label) => make('li', '', label)));
  const facts = {
    Description: info.description,
    Version: info.version,
    Author: info.author,
    Licence: info.licence,
    Accuracy: accuracy(info)[0],
    Input: `${type}, [${shape}]`,
    Output: `${info.output.type}, [${info.output.shape}]`,
    Normalization: info.normalization && `(pixel − ${info.normalization.mean}) / ${info.normalization.std}`,
    Threshold: thresholds(info),
    Size: size,
  };
  const rows = Object.entries(facts).filter(([, value]) => value);
  byId('about').replaceChildren(...rows.flatMap(([key, value]) => [make('dt', '', key), make('dd', '', value)]));
}

function thresholds({threshold, limits, provenance}) {
  const others = limits.some((limit) => limit !== threshold) ? ', and other ones for some labels' : '';
  const below = provenance.multi_label === true ? 'a photo does not get the label' : 'an answer is “unknown”';
  return (threshold || others) && `${percent(threshold)}${others}; below it ${below}`;
}

function accuracy({provenance}) {
  const {top1, mean_average_precision: precision, photos} = provenance.metrics ?? {};
  if (typeof precision === 'number' && photos) {
    return [`mAP ${percent(precision)} on ${photos} test photos`];
  }
  return typeof top1 === 'number' && photos ? [`${percent(top1)} of ${photos} test photos correct`] : [];
}

/** Fills a group of choices; `choose` receives the place of the one that is taken. */
function showChoices(id, texts, chosen, choose) {
  const choices = texts.map((text, index) => {
    const input = make('input', '');
    Object.assign(input, {type: 'radio', name: id, value: text, checked: index === chosen});
    input.addEventListener('change', () => choose(index));
    return make('label', '', input, make('span', '', text));
  });
  byId(id).replaceChildren(...choices);
}

/** Lets one choose among the heads of a combined model. */
export function showHeads(heads, choose) {
  showChoices('heads', heads.map(({name}) => name), 0, choose);
  show(byId('heads-row'), heads.length > 1);
}

/**
 * @param {number} counts the numbers of threads to choose among.
 * @param {string} note why there is no choice.
 */
export function showThreads(counts, chosen, note, choose) {
  showChoices('threads', counts.map(String), counts.indexOf(chosen), (index) => choose(counts[index]));
  byId('threads-note').textContent = note;
  show(byId('threads'), counts.length > 1);
  show(byId('threads-name'), counts.length > 1);
}

/** Shows a photo on the stage, or the video where there is no address; the answer to another picture goes. */
export function showPicture(caption, address = null) {
  ['top', 'remark', 'bars', 'latency'].forEach((id) => byId(id).replaceChildren());
  show(byId('photo'), address !== null);
  show(byId('live'), address === null);
  show(byId('stop'), address === null);
  if (address !== null) {
    byId('photo').src = address;
    byId('photo').alt = caption;
  }
  offerWhy(false);
  byId('caption').textContent = caption;
  show(byId('stage'), true);
  byId('drop').classList.add('small');
}

/** Offers to show where the answer comes from; what was shown before goes. */
export function offerWhy(possible) {
  show(byId('why'), possible);
  if (!byId('heat').hidden) {
    showWhy(false);
  }
}

export function showsWhy() {
  return !byId('heat').hidden;
}

/** Shows the heat map in the place of the photo, or the photo again. */
export function showWhy(shown, label = '') {
  show(byId('heat'), shown);
  show(byId('photo'), !shown && byId('photo').hasAttribute('src') && byId('live').hidden);
  byId('heat').setAttribute('aria-label', `Where ${label} comes from: orange for it, blue against it`);
  byId('why').setAttribute('aria-pressed', String(shown));
  byId('why').textContent = shown ? 'Show the photo' : 'Show where the answer comes from';
}

/** Shows an answer of `answerOf` on the stage. */
export function showAnswer(answer, latency) {
  byId('top').textContent = answer.label;
  byId('remark').textContent = answer.remark;
  show(byId('remark'), answer.remark !== '');
  byId('set').textContent = answer.set;
  show(byId('set'), answer.set !== '');
  byId('bars').classList.toggle('unsure', answer.unknown);
  byId('latency').textContent = latency;
  // Bars that are there are changed and not replaced, so that those of a video glide.
  const bars = byId('bars');
  while (bars.children.length > answer.ranked.length) {
    bars.lastElementChild.remove();
  }
  while (bars.children.length < answer.ranked.length) {
    bars.append(make('li', '', make('span', 'label'), make('span', 'score'), make('div', 'track', make('div', 'fill'))));
  }
  answer.ranked.forEach(({label, score}, index) => {
    const [name, number, track] = bars.children[index].children;
    name.textContent = label;
    number.textContent = percent(score);
    track.firstElementChild.style.width = `${100 * Math.min(1, Math.max(0, score))}%`;
  });
}

/** Scrolls to the stage where it is not in sight. */
export function reveal() {
  byId('stage').scrollIntoView({block: 'nearest'});
}

export function hideStage() {
  show(byId('stage'), false);
  byId('photo').removeAttribute('src');
  byId('drop').classList.remove('small');
}

/** A tile of the gallery; `select` is called when it is pressed. */
export function addTile(photo, select) {
  const button = make('button', 'tile');
  button.type = 'button';
  button.disabled = true;
  button.setAttribute('aria-pressed', 'false');
  const image = make('img', '');
  Object.assign(image, {src: photo.address, alt: '', loading: 'lazy', decoding: 'async'});
  const found = make('span', 'found', '…');
  button.append(image, make('span', 'text', found, make('span', 'file', photo.name)));
  button.addEventListener('click', select);
  byId('grid').append(make('li', '', button));
  return button;
}

/** Fills a tile: with its top label, or with why there is none. */
export function fillTile(tile, {answer, problem}) {
  const found = tile.querySelector('.found');
  if (problem) {
    found.replaceChildren(make('span', 'why', problem));
    const blank = make('span', 'blank', '–');
    blank.setAttribute('aria-hidden', 'true');
    tile.querySelector('img').replaceWith(blank);
    return;
  }
  found.replaceChildren(make('span', '', answer.label), make('span', 'score', percent(answer.ranked[0].score)));
  tile.disabled = false;
}

export function press(tile) {
  for (const other of byId('grid').querySelectorAll('.tile')) {
    other.setAttribute('aria-pressed', String(other === tile));
  }
}

/** @param {number} done of how many; the gallery is there from two photos on. */
export function showCount(done, total) {
  show(byId('gallery'), total > 1);
  byId('count').textContent = done < total ? `${done} of ${total} photos` : `${total} photos`;
}
