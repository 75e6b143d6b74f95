/** What is said of scores: a label, "unknown", or several labels. */

import * as threshold from './threshold.js';
import {percent} from './view.js';

const SHOWN_LABELS = 5;

/**
 * The best label, or "unknown" where it does not reach its threshold; of a model of several labels all that reach theirs.
 *
 * @param {Float32Array} scores
 * @param {Classifier} classifier
 * @param {?Teacher} teacher knows the classes that were taught on the page.
 */
export function judged(scores, classifier, teacher) {
  const {info} = classifier;
  const all = classifier.rank(scores, scores.length, teacher?.labels);
  const ranked = all.slice(0, SHOWN_LABELS);
  if (info.provenance.multi_label === true) {
    const found = all.filter(({score, index}) => score >= threshold.limitOf(index));
    const label = found.map((one) => one.label).join(', ') || 'no label';
    return {ranked, unknown: !found.length, label, remark: '', set: '', several: true};
  }
  const [{label, score, index}] = all;
  const limit = threshold.limitOf(index);
  const unknown = score < limit;
  const remark = unknown ? `The score of ${label} is below ${threshold.owner()}, ${percent(limit)}.` : '';
  const set = info.labelSets && !teacher?.taught.length ? setOf(all, info.labelSets) : '';
  return {ranked, unknown, label: unknown ? 'unknown' : label, remark, set};
}

/** The labels among which the right one is as often as the file promises, in words. */
function setOf(ranked, {coverage, limits}) {
  const members = ranked.filter(({score, index}, place) => place === 0 || score >= limits[index]).map(({label}) => label);
  return `Label set that holds the right label for ${percent(coverage)} of photos: ${members.join(', ')}`;
}
