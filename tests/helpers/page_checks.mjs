// What tests check of a page, at rest: under load a transition is seen half way.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds serious, or worse; by all rules, or by some. */
export async function violations(page, rules = null) {
  await settle(page);
  if (!(await page.evaluate(() => 'axe' in window))) {
    await page.evaluate(axe);
  }
  const only = rules && {runOnly: {type: 'rule', values: rules}};
  const {violations: found} = await page.evaluate((only) => axe.run({resultTypes: ['violations'], ...only}), only);
  const grave = found.filter(({impact}) => ['serious', 'critical'].includes(impact));
  return grave.map(({id, nodes}) => `${id}: ${nodes[0].html}`);
}

/** By how many pixels the page is wider than its window. */
export async function overflow(page) {
  await settle(page);
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

/** Ends what moves or changes color, but for what never ends. */
const settle = (page) =>
  page.evaluate(() => {
    const ending = document.getAnimations().filter(({effect}) => Number.isFinite(effect.getComputedTiming().endTime));
    ending.forEach((animation) => animation.finish());
  });
