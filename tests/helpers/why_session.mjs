// Explains answers on the demo page in Chromium for demo/test_static_site_why.py. stdin: what to do, JSON; stdout: what was seen.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, []);
const seen = {errors: []};

async function open(url) {
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => seen.errors.push(error.message));
  await page.goto(url);
  await page.waitForSelector('#choose:enabled');
  await page.setInputFiles('#photos', [job.photo]);
  await page.waitForFunction(() => document.getElementById('top').textContent !== '');
  return page;
}

try {
  const page = await open(job.url);
  seen.label = await page.locator('#top').innerText();
  await page.locator('#why').click();
  await page.waitForSelector('#heat', {state: 'visible'});
  seen.photo = await page.locator('#photo').isVisible();
  seen.name = await page.locator('#heat').getAttribute('aria-label');
  seen.drawn = await page.evaluate(() => {
    const canvas = document.getElementById('heat');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return {width: canvas.width, height: canvas.height, data: [...data]};
  });
  seen.axe = await violations(page);
  if (job.picture) {
    await page.screenshot({path: job.picture, fullPage: true});
  }
  seen.shares = await page.evaluate(async (bytes) => {
    const app = await import('./app.js');
    const {Explainer} = await import('./why.js');
    const {decode, pixels} = await import('./picture.js');
    const {resize} = await import('./resize.js');
    const classifier = await app.ready;
    const explainer = await Explainer.open(classifier);
    const image = await decode(new Blob([Uint8Array.from(bytes)], {type: 'image/png'}));
    const {values} = await explainer.shares(resize(pixels(image), classifier.fit), 0);
    return [...values];
  }, [...readFileSync(job.photo)]);
  await page.locator('#why').click();
  seen.again = await page.locator('#photo').isVisible();
  const plain = await open(job.plain);
  seen.offered = await plain.locator('#why').isVisible();
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
