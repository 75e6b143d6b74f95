// Opens pages in Chromium for product/test_docs.py: `node site_session.mjs CHROMIUM URL...`; stdout: what axe finds on each, JSON.

import {launch} from '../../model_maker/demo/chromium.mjs';
import {violations} from './axe.mjs';

const [path, ...urls] = process.argv.slice(2);
const browser = await launch(path, []);
const seen = {};
for (const colorScheme of ['light', 'dark']) {
  const page = await browser.newPage({colorScheme, viewport: {width: 1100, height: 800}});
  for (const url of urls) {
    await page.goto(url);
    seen[`${url} ${colorScheme}`] = await violations(page);
  }
}
await browser.close();
console.log(JSON.stringify(seen));
