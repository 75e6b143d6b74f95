// Drives the studio in Chromium for studio/test_page_files.py. stdin: what to do, JSON; stdout: what was seen, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';
import {overflow, violations} from './page_checks.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  `--use-file-for-fake-video-capture=${job.camera}`,
]);
const seen = {requests: [], errors: [], axe: {}, sideways: {}};
const VIEWS = ['collect', 'train', 'try', 'check', 'label', 'ship'];

async function open(options = {}, url = job.url) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  context.on('request', (request) => seen.requests.push(request.url()));
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => {
    // A photo may be moved to the trash while its picture is on the way.
    const {pathname} = new URL(message.location().url || url);
    if (message.type() === 'error' && !/[/](photo|thumbnail)[/]/.test(pathname)) {
      seen.errors.push(`${pathname.split('/').slice(2).join('/')}: ${message.text()}`);
    }
  });
  await page.goto(url);
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
  for (const [name, path] of Object.entries({'model.tflite': job.shipped, 'metrics.json': job.metrics})) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(`a[download="${name}"]`)]);
    await download.saveAs(path);
  }
  await page.context().close();
}

// From an empty folder to a model by the camera alone: a countdown, then ten photos, for each of two classes.
async function fromCameraToModel() {
  const page = await open({}, job.empty);
  for (const name of job.names) {
    await page.fill('#class-name', name);
    await page.press('#class-name', 'Enter');
    await page.click(`button[aria-label="Camera: ${name}"]`);
    await page.waitForFunction(() => document.getElementById('camera-live').videoWidth > 0);
    // The film begins anew when the camera does: the second class shows what comes later in it.
    const later = 15 * job.names.indexOf(name);
    await page.waitForFunction((later) => document.getElementById('camera-live').currentTime >= later, later);
    await page.click('#camera-timer');
    await count(page, name, 10);
    await page.click('#camera-close');
  }
  await page.click('a[href="#train"]');
  await page.click('#train-start');
  await page.waitForSelector('#result:not([hidden]), #problem:not([hidden])', {timeout: 120000});
  seen.byCamera = (await page.locator('#problem, #result-words').allInnerTexts()).join('');
  await page.context().close();
}

const count = (page, name, number) =>
  page.waitForFunction(
    ([name, number]) => document.querySelector(`.class[data-key="${CSS.escape(name)}"] .count`)?.textContent === `${number} photos`,
    [name, number],
  );
const problem = async (page) => {
  await page.waitForSelector('#problem:not([hidden])');
  return page.innerText('#problem');
};

async function classes() {
  const page = await open();
  const other = await open();
  await page.fill('#class-name', '<img src=x onerror=alert(1)>');
  await page.press('#class-name', 'Enter');
  seen.refusedName = await problem(page);
  seen.hostile = await page.locator('.class h3').allInnerTexts();
  await page.fill('#class-name', 'rose');
  await page.press('#class-name', 'Enter');
  await other.waitForSelector('.class[data-key="rose"]'); // the other tab follows
  await page.click('button[aria-label="Rename: rose"]');
  await page.fill('#ask-input', 'shot');
  await page.click('#ask-yes');
  await page.waitForSelector('.class[data-key="shot"]');
  await page.click('button[aria-label="Camera: shot"]');
  await page.waitForFunction(() => document.getElementById('camera-live').videoWidth > 0);
  seen.axe.camera = await violations(page);
  await page.locator('#camera-hold').dispatchEvent('pointerdown');
  await page.waitForFunction(() => parseInt(document.getElementById('camera-count').textContent) >= 3);
  await page.locator('#camera-hold').dispatchEvent('pointerup');
  await page.waitForFunction(() => document.querySelectorAll('.class[data-key="shot"] .thumb').length >= 3);
  await page.click('#camera-close');
  const shots = await page.locator('.class[data-key="shot"] .thumb').count();
  await page.locator('.class[data-key="shot"] .thumb').first().click();
  seen.chosen = await page.innerText('#selection-count');
  await page.selectOption('#selection-class', job.names[0]);
  await page.click('#selection-move');
  await count(page, 'shot', shots - 1);
  await page.click('#undo');
  await count(page, 'shot', shots);
  await page.click('button[aria-label="Delete: shot"]');
  await page.waitForSelector('.class[data-key="shot"]', {state: 'detached'});
  seen.undoable = await page.innerText('#undo-what');
  await other.waitForSelector('.class[data-key="shot"]', {state: 'detached'});
  await page.context().close();
  await other.context().close();
}

// Photos in the wrong class turn up among the mistakes; a click on the right one moves them, and training again is quick.
async function fixing() {
  const page = await open();
  const [right, wrong] = job.names;
  await page.waitForSelector(`.class[data-key="${right}"] .thumb`);
  const tiles = page.locator(`.class[data-key="${right}"] .thumb`);
  for (let index = 0; index < job.mislabelled; index += 1) {
    await tiles.nth(index).click();
  }
  await page.selectOption('#selection-class', wrong);
  await page.click('#selection-move');
  await count(page, wrong, job.classes[wrong].length + job.mislabelled);
  await page.click('a[href="#train"]');
  await page.click('#train-start');
  await page.reload(); // a training outlasts its tab
  await page.waitForSelector('#train-progress:not([hidden]), #mistakes > li');
  await page.waitForSelector('#mistakes > li', {timeout: 120000});
  seen.mistakes = await page.locator('#mistakes > li p').allInnerTexts();
  seen.axe.mistakes = await violations(page);
  if (job.screenshots) {
    await page.screenshot({path: `${job.screenshots}/mistakes.png`, fullPage: true});
  }
  const card = page.locator('#mistakes > li').first();
  const before = await page.locator('#mistakes > li').count();
  await card.getByRole('button', {name: 'Move'}).click();
  await page.waitForFunction((before) => document.querySelectorAll('#mistakes > li').length === before - 1, before);
  seen.moved = await page.innerText('#undo-what');
  await page.context().close();
}

async function shipping() {
  const page = await open();
  await page.click('a[href="#try"]');
  await page.fill('#threshold', '0.6');
  seen.threshold = await page.innerText('#threshold-words');
  await page.click('a[href="#ship"]');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('a[download="model.tflite"]')]);
  await download.saveAs(job.strict);
  await page.click('button[aria-label="Make: TFLite, float16"]');
  const link = page.locator('a[download="tflite-float16.zip"]');
  const [archive] = await Promise.all([page.waitForEvent('download', {timeout: 120000}), link.click({timeout: 120000})]);
  await archive.saveAs(job.archive);
  await page.context().close();
}

async function labelling() {
  const page = await open();
  await page.click('a[href="#label"]');
  await page.setInputFiles('#pile-photos', job.unseen);
  await page.waitForSelector('#labelling:not([hidden])');
  await page.click('#queue-start');
  await page.waitForFunction(() => document.getElementById('queue-guess').textContent.startsWith('Looks like'));
  seen.guess = await page.innerText('#queue-guess');
  seen.pile = await page.innerText('#pile-count');
  await page.locator('#label-title').click();
  await page.keyboard.press('Enter');
  await page.waitForFunction((before) => document.getElementById('pile-count').textContent !== before, seen.pile);
  await page.keyboard.press('1');
  await page.waitForFunction((left) => document.getElementById('pile-count').textContent.startsWith(left), String(job.unseen.length - 2));
  await page.context().close();
}

async function checking() {
  const page = await open();
  await page.click('a[href="#check"]');
  await page.click('#check-start');
  await page.waitForSelector('#findings p');
  seen.findings = await page.locator('#findings h3').allInnerTexts();
  await page.context().close();
}

// Every view on a narrow phone, light and dark; screenshots where somebody wants to look at them.
async function accessible() {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1100]) {
      const page = await open({viewport: {width, height: 800}, colorScheme});
      await page.waitForSelector('.class');
      for (const view of VIEWS) {
        await page.click(`a[href="#${view}"]`);
        if (view === 'try') {
          await page.setInputFiles('#try-photos', job.unseen);
          await page.waitForFunction((count) => document.querySelectorAll('#try-grid .score').length === count, job.unseen.length);
        }
        // Contrast is all that the dark scheme may change.
        seen.axe[`${view} ${colorScheme} ${width}`] = await violations(page, colorScheme === 'dark' ? ['color-contrast'] : null);
        seen.sideways[`${view} ${width}`] = await overflow(page);
        if (job.screenshots) {
          await page.screenshot({path: `${job.screenshots}/${view}-${colorScheme}-${width}.png`, fullPage: true});
        }
      }
      await page.context().close();
    }
  }
}

await fromPhotosToModel();
await fromCameraToModel();
await classes();
await fixing();
await shipping();
await labelling();
await checking();
await accessible();
await browser.close();
console.log(JSON.stringify(seen));
