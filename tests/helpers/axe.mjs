// What axe-core finds serious on a page, or worse.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Of all rules, or of some. */
export async function violations(page, rules = null) {
  if (!(await page.evaluate(() => 'axe' in window))) {
    await page.evaluate(axe);
  }
  const only = rules && {runOnly: {type: 'rule', values: rules}};
  const {violations: found} = await page.evaluate((only) => axe.run({resultTypes: ['violations'], ...only}), only);
  const grave = found.filter(({impact}) => ['serious', 'critical'].includes(impact));
  return grave.map(({id, nodes}) => `${id}: ${nodes[0].html}`);
}
