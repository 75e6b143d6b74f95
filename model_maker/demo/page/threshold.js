/** When an answer counts: the model's own thresholds, or the one of the slider. */

import {byId, percent, show} from './view.js';

let info = null;
let figures = [];
// The slider's score, once somebody has moved it.
let chosen = null;
let changed = () => {};

/**
 * Shows the slider.
 *
 * @param {object[]} points of ABOUT: {score, photos, answered, precision} of thresholds, the lowest first.
 * @param {() => void} redraw is called when answers are to be judged anew.
 */
export function start(points, redraw) {
  [figures, changed] = [points, redraw];
  byId('threshold').addEventListener('input', () => choose(Number(byId('threshold').value)));
  byId('threshold-own').addEventListener('click', () => {
    choose(null);
    byId('threshold').focus();
  });
}

/** Takes the thresholds of a model, or of another head of it. */
export function use(described) {
  info = described;
  show(byId('threshold-box'), true);
  const several = info.provenance.multi_label === true;
  byId('threshold-what').textContent = several ? 'Lowest score that gives a label:' : 'Lowest score that counts as an answer:';
  draw();
}

/** The score from which on a label is an answer; 0 for classes that were taught here. */
export function limitOf(index) {
  return chosen ?? info.limits[index] ?? 0;
}

/** Whose threshold this is, in words. */
export function owner() {
  return chosen === null ? 'the model’s threshold for it' : 'the chosen threshold';
}

function choose(score) {
  chosen = score;
  draw();
  changed();
}

function draw() {
  const own = info.threshold;
  const score = chosen ?? own;
  byId('threshold').value = score;
  byId('threshold-value').textContent = percent(score);
  byId('threshold-words').textContent = words(score);
  // Those of single labels are no place on the slider.
  const differ = info.limits.some((limit) => limit !== own);
  show(byId('threshold-own'), chosen !== null && (differ || chosen !== own));
  byId('threshold-own').textContent = differ ? 'Use the model’s own, one for each label' : `Use the model’s own, ${percent(own)}`;
}

/** What the highest threshold up to this one, of those that were measured, did on the test photos. */
function words(score) {
  const point = figures.findLast((each) => each.score <= score);
  if (!point || info.heads.length > 1) {
    return '';
  }
  const {photos, answered, precision} = point;
  const recall = (precision * answered) / photos;
  const rest = answered < photos ? ' The others were “unknown”.' : '';
  return (
    `Measured at ${percent(point.score)}: of ${photos} test photos, ${answered} got an answer. ` +
    `${percent(precision)} of these were correct (precision), ${percent(recall)} of all (recall).${rest}`
  );
}
