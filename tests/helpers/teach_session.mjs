// Teaches the demo page a class in Chromium for demo/test_teaching.py. stdin: what to do, JSON; stdout: what was seen.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, [
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-video-capture=${job.camera}`,
]);
const seen = {errors: []};
const context = await browser.newContext();

async function openReady() {
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  await page.goto(job.url);
  await page.waitForSelector('#choose:enabled');
  return page;
}

async function labelsOf(page, files) {
  await page.setInputFiles('#photos', files);
  await page.waitForFunction((n) => document.getElementById('count').textContent === `${n} photos`, files.length);
  const labels = await page.locator('.tile .found').allInnerTexts();
  await page.locator('#clear').click();
  return labels.map((text) => text.split('\n')[0]);
}

try {
  const page = await openReady();
  seen.before = await labelsOf(page, job.others);
  seen.disabled = await page.locator('#teach-hold').isDisabled();
  await context.grantPermissions(['camera'], {origin: new URL(job.url).origin});
  await page.locator('#camera').click();
  await page.waitForSelector('#teach-hold:enabled');
  await page.locator('#teach-hold').press('Enter');
  await page.waitForFunction(() => !document.getElementById('problem').hidden);
  seen.nameless = await page.locator('#problem').innerText();
  await page.locator('#teach-name').fill('mug');
  await page.locator('#teach-hold').scrollIntoViewIfNeeded();
  await page.locator('#teach-hold').hover();
  await page.mouse.down();
  await page.waitForFunction(() => document.getElementById('taught').textContent.includes('5 frames'));
  await page.mouse.up();
  seen.taught = await page.locator('#taught li').allInnerTexts();
  seen.axe = await violations(page);
  await page.waitForFunction(() => document.getElementById('top').textContent === 'mug');
  seen.live = await page.locator('#top').innerText();
  await page.locator('#stop').click();
  seen.after = await labelsOf(page, job.others);
  seen.old = await labelsOf(page, job.old);
  await page.close();
  // Another visit knows it still, and can take it back.
  const again = await openReady();
  seen.kept = await again.locator('#taught li').allInnerTexts();
  await again.locator('#taught button').click();
  seen.forgotten = await again.locator('#taught li').count();
  seen.back = await labelsOf(again, job.others);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
