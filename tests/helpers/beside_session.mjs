// Uses what the demo page has beside the model, for demo/test_static_site_beside.py. stdin: what to do; stdout: what was seen.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {overflow, violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, []);
const seen = {errors: [], axe: {}, sideways: {}};
const text = (page, selector) => page.locator(selector).innerText();

async function open(url, options = {}) {
  const context = await browser.newContext(options);
  // Of pages that it opens, too.
  context.on('weberror', (problem) => seen.errors.push(problem.error().message));
  context.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  await page.goto(url);
  await page.waitForSelector('#choose:enabled');
  return page;
}

async function trySample(page, index) {
  await page.locator('.sample').nth(index).click();
  await page.waitForFunction((name) => document.getElementById('caption').textContent === name, job.samples[index]);
}

async function tried() {
  const page = await open(job.local);
  seen.samples = await page.locator('.sample').evaluateAll((tiles) => tiles.map((tile) => tile.getAttribute('aria-label')));
  await trySample(page, 0);
  await trySample(page, 1);
  seen.tiles = await page.locator('.tile .found').allInnerTexts();
  seen.words = {};
  for (const score of job.scores) {
    await page.fill('#threshold', String(score));
    seen.words[score] = await text(page, '#threshold-words');
  }
  await page.focus('#threshold');
  await page.keyboard.press('End');
  seen.strict = {
    value: await text(page, '#threshold-value'),
    top: await text(page, '#top'),
    remark: await page.locator('#remark').textContent(),
    tiles: await page.locator('.tile .found').allInnerTexts(),
  };
  await page.click('#threshold-own');
  seen.own = {top: await text(page, '#top'), offered: await page.isVisible('#threshold-own'), value: await page.inputValue('#threshold')};
  await page.locator('summary').filter({hasText: 'Files'}).click();
  seen.files = await page.locator('#files a').evaluateAll((links) => links.map((link) => [link.textContent, link.getAttribute('href')]));
  const [report] = await Promise.all([page.context().waitForEvent('page'), page.click('#files a >> text=Report')]);
  await report.waitForLoadState();
  seen.report = await text(report, 'h1');
  seen.reportScore = await report.locator('#score').evaluate((slider) => {
    slider.value = 99;
    slider.dispatchEvent(new Event('input'));
    return document.querySelector('#slider [data-column]').textContent;
  });
  const [download] = await Promise.all([report.waitForEvent('download'), report.locator('a[href="model.tflite"]').click()]);
  await download.saveAs(job.saved);
  await page.context().close();
}

async function others() {
  const page = await open(job.exported);
  seen.exported = {
    samples: await page.isVisible('#samples-box'),
    files: await page.locator('#files a').evaluateAll((links) => links.map((link) => link.getAttribute('href'))),
  };
  await page.context().close();
  for (const name of ['sets', 'several']) {
    const other = await open(job[name]);
    await other.setInputFiles('#photos', job.photo);
    await other.waitForFunction(() => document.getElementById('top').textContent !== '');
    seen[name] = {top: await text(other, '#top'), set: await other.locator('#set').textContent()};
    await other.fill('#threshold', '0.99');
    seen[name].strict = await text(other, '#top');
    await other.context().close();
  }
}

async function accessible() {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(job.local, {viewport: {width: 360, height: 780}, colorScheme});
    seen.axe[`${colorScheme} empty`] = await violations(page);
    await trySample(page, 0);
    await page.fill('#threshold', '0.99');
    await page.locator('summary').filter({hasText: 'Files'}).click();
    seen.axe[colorScheme] = await violations(page);
    seen.sideways[colorScheme] = await overflow(page);
    await page.context().close();
  }
}

try {
  await tried();
  await others();
  await accessible();
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
