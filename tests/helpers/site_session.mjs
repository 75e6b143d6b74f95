// Opens pages in Chromium for product/test_site.py. stdin: the job, JSON; stdout: what was seen, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {overflow, violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, []);
const seen = {axe: {}, overflow: {}, navigation: {}, answers: {}};

const page = await browser.newPage({colorScheme: 'light'});
for (const url of job.pages) {
  await page.setViewportSize({width: 1200, height: 900});
  await page.goto(url);
  seen.navigation[url] = await page.locator('.md-tabs a, .md-sidebar--primary a').filter({visible: true}).count();
  seen.axe[`${url} light`] = await violations(page);
  for (const width of [390, 800, 1200]) {
    await page.setViewportSize({width, height: 900});
    seen.overflow[`${url} ${width}`] = await overflow(page);
  }
  // Contrast is all that the dark scheme may change.
  await page.locator('[data-md-component="palette"] label').filter({visible: true}).click();
  await page.waitForSelector('body[data-md-color-scheme="slate"]');
  seen.axe[`${url} dark`] = await violations(page, ['color-contrast']);
  await page.evaluate(() => localStorage.clear()); // which keeps the scheme for the next page
}

// The search listens to keys alone; so the whole question is there at its only key.
async function answers(question) {
  await page.fill('.md-search__input', question);
  await page.locator('.md-search-result__list').evaluate((list) => list.replaceChildren());
  await page.press('.md-search__input', 'End');
  await page.waitForSelector('.md-search-result__link', {state: 'attached'});
  const links = await page.locator('.md-search-result__item > a').evaluateAll((all) => all.map((link) => link.href));
  return [...new Set(links.map((link) => link.replace(/[?#].*/, '')))];
}

await page.goto(job.pages[0]);
await page.click('.md-search__input');
for (const question of job.questions) {
  seen.answers[question] = (await answers(question)).slice(0, 3);
}
// What the copy button of the first command puts on the clipboard.
await page.goto(job.copied);
await page.evaluate(() => {
  document.execCommand = () => {
    window.copied = document.activeElement.value;
    return true;
  };
});
const block = page.locator('.language-console').first();
await block.hover();
await block.locator('button').click();
seen.copied = await page.evaluate(() => window.copied);
await browser.close();
console.log(JSON.stringify(seen));
