// What axe-core finds serious on a page, or worse.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function violations(page) {
  await page.evaluate(axe);
  const {violations: found} = await page.evaluate(() => axe.run({resultTypes: ['violations']}));
  const grave = found.filter(({impact}) => ['serious', 'critical'].includes(impact));
  return grave.map(({id, nodes}) => `${id}: ${nodes[0].html}`);
}
