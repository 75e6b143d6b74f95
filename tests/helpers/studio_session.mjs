// Drives the studio in Chromium for studio/test_pages.py. stdin: what to do, JSON; stdout: what was seen, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium);
const seen = {requests: [], errors: []};

async function open(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  context.on('request', (request) => seen.requests.push(request.url()));
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  await page.goto(job.url);
  return page;
}

// Drops files, as people do, on the element that a selector names.
async function drop(page, selector, paths) {
  const files = paths.map((path) => ({name: path.split('/').at(-1), data: readFileSync(path).toString('base64')}));
  await page.locator(selector).evaluate(async (element, files) => {
    const dataTransfer = new DataTransfer();
    for (const {name, data} of files) {
      const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
      dataTransfer.items.add(new File([bytes], name, {type: 'image/jpeg'}));
    }
    element.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
  }, files);
}

async function fromPhotosToModel() {
  const page = await open();
  for (const [name, photos] of Object.entries(job.classes)) {
    await page.fill('#class-name', name);
    await page.press('#class-name', 'Enter');
    await page.waitForSelector(`.class[data-key="${name}"]`);
    await drop(page, `.class[data-key="${name}"]`, photos);
    await page.waitForFunction(
      ([name, count]) => document.querySelector(`.class[data-key="${name}"] .count`).textContent === `${count} photos`,
      [name, photos.length],
    );
  }
  await page.click('a[href="#train"]');
  await page.click('#train-start');
  await page.waitForSelector('#result:not([hidden])', {timeout: 120000});
  seen.accuracy = await page.innerText('#result-top');
  seen.words = await page.innerText('#result-words');
  await page.click('a[href="#try"]');
  await page.setInputFiles('#try-photos', job.unseen);
  await page.waitForFunction((count) => document.querySelectorAll('#try-grid .score').length === count, job.unseen.length);
  seen.answers = await page.locator('#try-grid .found > span:first-child').allInnerTexts();
  seen.bars = await page.locator('#bars li').allInnerTexts();
  await page.click('a[href="#ship"]');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('a[download="model.tflite"]')]);
  await download.saveAs(job.shipped);
  await page.context().close();
}

await fromPhotosToModel();
await browser.close();
console.log(JSON.stringify(seen));
