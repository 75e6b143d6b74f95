// Opens the demo page of a combined model in Chromium for demo/test_static_site_heads.py. stdin: what to do, JSON;
// stdout: what was seen.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium);
const seen = {errors: []};
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => seen.errors.push(error.message));
  await page.goto(job.url);
  await page.waitForSelector('#choose:enabled');
  seen.heads = await page.locator('#heads label').allInnerTexts();
  seen.shown = await page.locator('#heads-row').isVisible();
  await page.setInputFiles('#photos', job.photos);
  await page.waitForFunction((n) => document.getElementById('count').textContent === `${n} photos`, job.photos.length);
  const found = async () => ({
    tiles: (await page.locator('.tile .found').allInnerTexts()).map((text) => text.split('\n')[0]),
    labels: await page.locator('#labels li').allTextContents(),
    top: await page.locator('#top').innerText(),
  });
  seen.first = await found();
  if (seen.heads.length > 1) {
    await page.locator('#heads label').nth(1).click();
    await page.waitForFunction((label) => document.querySelector('#labels li').textContent === label, job.other);
    await page.waitForFunction((labels) => labels.includes(document.getElementById('top').textContent), job.labels);
    seen.second = await found();
    seen.axe = await violations(page);
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
