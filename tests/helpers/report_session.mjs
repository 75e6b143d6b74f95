// Opens a page in Chromium for tests: `node report_session.mjs CHROMIUM URL`; stdout: what was seen, JSON.

import {launch} from '../../model_maker/demo/chromium.mjs';
import {overflow, violations} from './page_checks.mjs';

const [path, url] = process.argv.slice(2);
const browser = await launch(path, []);
const seen = {pages: {}};
for (const [name, colorScheme, width] of [['light', 'light', 1100], ['dark', 'dark', 1100], ['phone', 'light', 390]]) {
  const page = await browser.newPage({colorScheme, viewport: {width, height: 800}});
  const requests = [];
  const errors = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (said) => said.type() === 'error' && errors.push(said.text()));
  await page.goto(url);
  if (await page.locator('summary').count()) await page.locator('summary').first().click();
  const wider = await overflow(page);
  const others = requests.filter((found) => found !== url && !found.startsWith('data:'));
  seen.pages[name] = {violations: await violations(page), wider, others, errors};
  if (name === 'phone' && (await page.locator('#score').count())) seen.slider = await slide(page);
  if (name === 'phone') seen.columns = await lastColumns(page);
  await page.close();
}
const plain = await browser.newPage({javaScriptEnabled: false});
await plain.goto(url);
if (await plain.locator('#score').count()) {
  const table = plain.getByRole('region', {name: 'Score thresholds'});
  seen.without_script = {slider: await plain.locator('#slider').isVisible(), table: await table.isVisible()};
}
await browser.close();
console.log(JSON.stringify(seen));

/** Scrolls each table that is wider than its frame to its end by a key; returns the headings that are then in sight. */
async function lastColumns(page) {
  const found = [];
  for (const frame of await page.locator('.wide').all()) {
    if (await frame.evaluate((box) => box.scrollWidth <= box.clientWidth)) continue;
    await frame.focus();
    for (let press = 0; press < 60; press++) await page.keyboard.press('ArrowRight', {delay: 5});
    const last = frame.locator('thead tr').last().locator('th').last();
    const inSight = (heading) => heading.getBoundingClientRect().right <= heading.closest('.wide').getBoundingClientRect().right + 1;
    // Scrolling is smooth.
    const arrived = await page.waitForFunction(inSight, await last.elementHandle(), {timeout: 5000}).catch(() => null);
    if (arrived) found.push(await last.textContent());
  }
  return found;
}

/** Moves the slider by keys, and reads what it shows and what screen readers say. */
async function slide(page) {
  const slider = page.getByRole('slider', {name: 'If the app answers only from this score on'});
  const found = [];
  for (const key of ['Home', 'none', 'ArrowRight', 'End']) {
    if (key === 'none') await slider.fill('50');
    else await slider.press(key);
    const shown = await page.locator('#slider [data-column]').allTextContents();
    const [at, said] = await slider.evaluate((input) => [Number(input.value), input.getAttribute('aria-valuetext')]);
    found.push({at, shown, said});
  }
  return found;
}
