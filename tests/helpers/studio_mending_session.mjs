// Drives the studio in Chromium for studio/test_page_files_mending.py: photos by other ways than dropping, the fixes of Check,
// the threshold, the labeling queue. stdin: what to do, JSON; stdout: what was seen, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../../model_maker/demo/chromium.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium);
const context = await browser.newContext();
await context.grantPermissions(['clipboard-read', 'clipboard-write'], {origin: new URL(job.url).origin});
const page = await context.newPage();
page.setDefaultTimeout(90000);
const seen = {errors: [], fixes: {}};
page.on('pageerror', (error) => seen.errors.push(error.message));
await page.goto(job.url);
await page.waitForSelector('.class');

const go = (view) => page.click(`a[href="#${view}"]`);
const text = (selector) => page.innerText(selector);
const becomes = (selector, expected) =>
  page.waitForFunction(([selector, expected]) => document.querySelector(selector)?.textContent === expected, [selector, expected]);
const count = (name, number) => becomes(`.class[data-key="${name}"] .count`, `${number} photos`);

// The real clipboard: a page puts a picture there, and the keys paste it.
async function pasting() {
  await go('collect');
  await page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
  }, job.pasted);
  await page.keyboard.press('Control+V');
  await page.waitForSelector('#ask[open]');
  seen.pasteAsks = await text('#ask-title');
  await page.selectOption('#ask-choice', job.names[1]);
  await page.click('#ask-yes');
  await count(job.names[1], job.count + 1);
}

// A film of two seconds, as browsers record them: its file does not say how long it is.
async function filming() {
  seen.seconds = await page.locator(`.class[data-key="${job.names[0]}"]`).evaluate(async (card) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 96, height: 64});
    const context = canvas.getContext('2d');
    let shade = 0;
    const draw = () => {
      shade = (shade + 4) % 256;
      context.fillStyle = `rgb(${shade} 80 ${255 - shade})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
    };
    draw();
    const timer = setInterval(draw, 40);
    const recorder = new MediaRecorder(canvas.captureStream(25), {mimeType: 'video/webm'});
    const parts = [];
    recorder.ondataavailable = ({data}) => parts.push(data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    const began = performance.now();
    recorder.start(100);
    await new Promise((resolve) => setTimeout(resolve, 2200));
    recorder.stop();
    const seconds = (performance.now() - began) / 1000;
    await stopped;
    clearInterval(timer);
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(parts, 'walk.webm', {type: 'video/webm'}));
    card.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
    return seconds;
  });
  await page.waitForFunction(() => /^\d+ photos? added$/.test(document.getElementById('said').textContent));
  seen.problem = await page.locator('#problem:not([hidden])').allInnerTexts();
}

// Each fix of the check: it leaves the list, and undo restores it.
async function fixing() {
  await go('check');
  await page.click('#check-start');
  await page.waitForSelector('#findings:not([hidden]), #problem:not([hidden])', {timeout: 180000});
  seen.problems = await page.locator('#problem:not([hidden])').allInnerTexts();
  seen.groups = await page.locator('#findings h3').allInnerTexts();
  await page.reload(); // what was found outlasts the page
  await page.waitForSelector('.finding');
  seen.reloaded = await page.locator('#findings h3').allInnerTexts();
  for (const [title, fix] of Object.entries(job.fixes)) {
    const group = page.locator('.group').filter({has: page.getByRole('heading', {name: title})});
    const before = await group.locator('.finding').count();
    const left = async (number) => {
      for (let tries = 0; (await group.locator('.finding').count()) !== number; tries += 1) {
        if (tries > 300) {
          throw new Error(`${title}: ${await group.locator('.finding').count()} findings instead of ${number}`);
        }
        await page.waitForTimeout(100);
      }
    };
    const button = group.locator('.finding').first().getByRole('button', {name: fix});
    await button.focus();
    await page.keyboard.press('Enter');
    await left(before - 1);
    const focused = await page.evaluate(() => document.activeElement.closest('#check') !== null);
    seen.fixes[title] = {did: await text('#undo-what'), focused};
    await page.click('#undo');
    await left(before);
  }
  await page.getByRole('button', {name: 'It is right'}).first().click();
  await page.waitForFunction(() => document.getElementById('undo-what').textContent.startsWith('Last: accepted'));
  await page.reload();
  await page.waitForSelector('#findings:not([hidden])');
  seen.accepted = await page.locator('#findings h3').allInnerTexts();
  await page.click('#undo');
  await page.waitForFunction((all) => document.querySelectorAll('.finding').length === all, job.found);
}

// The slider in Try: below it the answer is unknown.
async function thresholds() {
  await go('try');
  await page.setInputFiles('#try-photos', job.unseen.slice(0, 1));
  await page.waitForFunction(() => document.querySelectorAll('#bars li').length > 0);
  seen.open = await text('#top');
  await page.focus('#threshold');
  await page.keyboard.press('End');
  await becomes('#threshold-value', '99.0 %');
  seen.strict = {words: await text('#threshold-words'), top: await text('#top'), bar: await text('#bars .score')};
  await page.keyboard.press('Home');
  await becomes('#threshold-value', '0.0 %');
  seen.reopened = await text('#top');
}

// Enter accepts, a digit chooses, S skips, Delete throws away; a reload in between changes nothing.
async function labeling() {
  await go('label');
  await page.setInputFiles('#pile-photos', job.unseen);
  await page.waitForFunction((count) => document.getElementById('pile-count').textContent === `${count} photos without a label.`, job.unseen.length);
  await page.click('#queue-start');
  const sorted = () => page.waitForFunction(() => document.getElementById('queue-guess').textContent.startsWith('Looks like'));
  await sorted();
  const first = await text('#queue-name');
  await page.reload();
  await sorted();
  seen.labeled = {first: [first, await text('#queue-name')]};
  const press = async (key, left) => {
    const [name, guess] = [await text('#queue-name'), await text('#queue-guess')];
    await page.keyboard.press(key);
    await page.waitForFunction(
      ([name, left]) =>
        document.getElementById('queue-name').textContent !== name && document.getElementById('pile-count').textContent.startsWith(left),
      [name, left === 1 ? '1 photo ' : `${left} photos`],
    );
    seen.labeled[key] = {name, guess};
  };
  const all = job.unseen.length;
  await press('Enter', all - 1);
  await press('2', all - 2);
  await press('s', all - 2);
  await press('Delete', all - 3);
  await page.focus('#queue-skip'); // Enter on a button is that button's
  seen.enterOnAButton = await text('#pile-count');
  await page.keyboard.press('Enter');
  await page.waitForTimeout(300);
  seen.afterIt = await text('#pile-count');
}

await fixing();
await pasting();
await filming();
await thresholds();
await labeling();
await browser.close();
console.log(JSON.stringify(seen));
