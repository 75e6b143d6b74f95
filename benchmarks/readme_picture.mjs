// Draws the picture of readme_picture.py. stdin: the job, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../model_maker/demo/chromium.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, ['--no-sandbox']);
const demo = await browser.newPage({viewport: {width: 840, height: 900}, deviceScaleFactor: 2});
await demo.goto(job.page);
await demo.waitForSelector('#choose:enabled');
await demo.setInputFiles('#photos', [job.photo]);
await demo.waitForFunction(() => document.getElementById('top').textContent !== '');
const shot = await demo.locator('#stage').screenshot();

const picture = await browser.newPage({viewport: {width: 1200, height: 400}});
await picture.setContent(job.html);
await picture.locator('#shot').evaluate((image, data) => {
  image.src = `data:image/png;base64,${data}`;
  return image.decode();
}, shot.toString('base64'));
await picture.screenshot({path: job.output, fullPage: true});
await browser.close();
