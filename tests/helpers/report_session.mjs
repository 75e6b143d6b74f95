// Opens a report in Chromium for report/test_model_page.py: `node report_session.mjs CHROMIUM URL`; stdout: what was seen, JSON.

import {launch} from '../../model_maker/demo/chromium.mjs';
import {violations} from './axe.mjs';

const [path, url] = process.argv.slice(2);
const browser = await launch(path, []);
const seen = {};
for (const [name, colorScheme, width] of [['light', 'light', 1100], ['dark', 'dark', 1100], ['phone', 'light', 390]]) {
  const page = await browser.newPage({colorScheme, viewport: {width, height: 800}});
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  await page.locator('summary').first().click();
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const others = requests.filter((found) => found !== url && !found.startsWith('data:'));
  seen[name] = {violations: await violations(page), wider, others};
  await page.close();
}
await browser.close();
console.log(JSON.stringify(seen));
