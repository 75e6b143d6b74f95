// Drives the demo page in Chromium for demo/test_static_site.py. stdin: what to do, JSON; stdout: what was seen, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {overflow, violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, [
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-video-capture=${job.camera}`,
]);
const seen = {requests: [], errors: []};

async function open(url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  context.on('request', (request) => seen.requests.push(request.url()));
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  await page.goto(url);
  return page;
}

async function openReady(url, options) {
  const page = await open(url, options);
  await page.waitForSelector('#choose:enabled');
  return page;
}

const text = (page, selector) => page.locator(selector).innerText();
const texts = (page, selector) => page.locator(selector).allInnerTexts();

async function choose(page, files, total) {
  await page.setInputFiles('#photos', files);
  await page.waitForFunction((n) => document.getElementById('count').textContent === `${n} photos`, total);
}

// Scores of files, by the page's own modules.
async function scores(page, files) {
  const input = await page.evaluateHandle(() => Object.assign(document.createElement('input'), {type: 'file', multiple: true}));
  await input.setInputFiles(files);
  return input.evaluate(async ({files}) => {
    const [{classify}, {decode}] = await Promise.all([import('./app.js'), import('./picture.js')]);
    const rows = [];
    for (const file of files) {
      rows.push([...(await classify(await decode(file))).scores]);
    }
    return rows;
  });
}

async function photosOnThePage() {
  const page = await openReady(job.uint8);
  seen.facts = await text(page, '#facts');
  seen.labels = await page.locator('#labels li').allTextContents();
  seen.axeEmpty = await violations(page);
  await choose(page, job.photos, job.photos.length);
  seen.tiles = await texts(page, '.tile .found');
  seen.said = await page.locator('#said').textContent();
  await page.locator('.tile').nth(1).press('Enter');
  seen.second = {top: await text(page, '#top'), caption: await text(page, '#caption'), bars: await texts(page, '#bars li')};
  seen.axeMany = await violations(page);
  seen.latency = await text(page, '#latency');
  seen.threads = await texts(page, '#threads label');
  await page.locator('#threads label').first().click();
  await page.waitForFunction(() => document.getElementById('latency').textContent.endsWith('1 thread'));
  seen.oneThread = await scores(page, job.photos);
  await page.locator('#clear').click();
  seen.cleared = await page.locator('.tile').count();
  // Dropped, as people do.
  const png = readFileSync(job.photos[0]).toString('base64');
  await page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}));
    dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
  }, png);
  await page.waitForFunction(() => document.getElementById('caption').textContent === 'dropped.png');
  seen.dropped = await text(page, '#top');
  await page.context().close();
}

async function unreadable() {
  const page = await openReady(job.uint8, {viewport: {width: 390, height: 844}, colorScheme: 'dark'});
  await page.setInputFiles('#photos', job.broken[0]);
  await page.waitForFunction(() => !document.getElementById('problem').hidden);
  seen.problem = await text(page, '#problem');
  await choose(page, job.broken.slice(1), job.broken.length);
  seen.reasons = await page.locator('.why').allTextContents();
  await choose(page, job.photos.slice(0, 2), job.broken.length + 2);
  seen.axePhone = await violations(page);
  seen.sideways = await overflow(page);
  await page.context().close();
}

async function moving() {
  const page = await openReady(job.uint8);
  await page.locator('#camera').click();
  await page.waitForFunction(() => !document.getElementById('problem').hidden);
  seen.refused = await text(page, '#problem');
  await page.context().grantPermissions(['camera'], {origin: new URL(job.uint8).origin});
  await page.locator('#camera').click();
  await page.waitForSelector('#top:not(:empty)');
  seen.cameraTop = await text(page, '#top');
  seen.axeLive = await violations(page);
  await page.locator('#stop').click();
  seen.cameraOff = await page.evaluate(() => document.getElementById('live').srcObject === null);
  // A film of the first photo, recorded here, for no encoder is sure to be on this machine.
  const png = readFileSync(job.photos[0]).toString('base64');
  await page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes]));
    const canvas = Object.assign(document.createElement('canvas'), {width: image.width, height: image.height});
    const context = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(30), {mimeType: 'video/webm;codecs=vp8'});
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.start();
    for (let frame = 0; frame < 15; frame += 1) {
      context.drawImage(image, 0, 0);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await new Promise((resolve) => ((recorder.onstop = resolve), recorder.stop()));
    const files = new DataTransfer();
    files.items.add(new File(['beside'], 'beside.png', {type: 'image/png'}));
    files.items.add(new File(parts, 'film.webm', {type: 'video/webm'}));
    const input = document.getElementById('video');
    input.files = files.files;
    input.dispatchEvent(new Event('change'));
  }, png);
  await page.waitForFunction(() => document.getElementById('caption').textContent === 'film.webm');
  await page.waitForSelector('#top:not(:empty)');
  seen.filmTop = await text(page, '#top');
  seen.filmNote = await text(page, '#problem');
  await page.context().close();
}

async function otherModels() {
  let page = await openReady(job.threshold);
  await page.setInputFiles('#photos', job.photos[0]);
  await page.waitForSelector('#top:not(:empty)');
  seen.unknown = {top: await text(page, '#top'), remark: await text(page, '#remark')};
  await page.context().close();
  page = await open(job.unrunnable);
  await page.waitForFunction(() => !document.getElementById('problem').hidden);
  seen.unrunnable = await text(page, '#problem');
  await page.context().close();
  page = await openReady(job.site);
  seen.siteNote = await text(page, '#threads-note');
  seen.siteScores = await scores(page, job.photos);
  seen.axeSite = await violations(page);
  await page.context().close();
}

// Our modules on given bytes: pictures that are resized, models that are read.
async function modules() {
  const page = await openReady(job.uint8);
  const input = await page.evaluateHandle(() => Object.assign(document.createElement('input'), {type: 'file', multiple: true}));
  await input.setInputFiles(job.raw.map(({path}) => path));
  seen.resized = await input.evaluate(async ({files}, raw) => {
    const {resize} = await import('./resize.js');
    const rows = [];
    for (const [index, file] of [...files].entries()) {
      const rgba = new Uint8Array(await file.arrayBuffer());
      const {width, height, fit} = raw[index];
      const picture = {width, height, rows: (top, count) => rgba.subarray(4 * width * top, 4 * width * (top + count))};
      rows.push([...resize(picture, fit)]);
    }
    return rows;
  }, job.raw);
  await input.setInputFiles(job.pictures.map(({path}) => path));
  seen.pictures = await input.evaluate(async ({files}, pictures) => {
    const [{resize}, {decode, pixels}] = await Promise.all([import('./resize.js'), import('./picture.js')]);
    const rows = [];
    for (const [index, file] of [...files].entries()) {
      rows.push([...resize(pixels(await decode(file)), pictures[index].fit)]);
    }
    return rows;
  }, job.pictures);
  await input.setInputFiles(job.models);
  seen.metadata = await input.evaluate(async ({files}) => {
    const {read} = await import('./metadata.js');
    const found = [];
    for (const file of files) {
      found.push(await read(new Uint8Array(await file.arrayBuffer())).catch((error) => error.message));
    }
    return found;
  });
  await page.context().close();
}

try {
  for (const part of [photosOnThePage, unreadable, moving, otherModels, modules]) {
    await part();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
