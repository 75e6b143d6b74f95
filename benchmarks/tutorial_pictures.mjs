// Draws the pictures of tutorial_pictures.py. stdin: the job, JSON.

import {readFileSync} from 'node:fs';

import {launch} from '../model_maker/demo/chromium.mjs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium, ['--no-sandbox']);
for (const shot of job.shots) {
  const viewport = {width: job.width, height: shot.height};
  const page = await browser.newPage({colorScheme: 'light', deviceScaleFactor: 1.5, viewport});
  await page.goto(shot.url);
  const path = `${job.output}/${shot.name}.png`;
  if (shot.photo) {
    await page.waitForSelector('#choose:enabled');
    await page.setInputFiles('#photos', [shot.photo]);
    await page.waitForFunction(() => document.getElementById('top').textContent !== '');
    await page.locator('#stage').screenshot({path});
  } else {
    const heading = page.locator('h2, h3', {hasText: shot.heading});
    if (shot.heading && await heading.count()) {
      await heading.first().evaluate((element) => element.scrollIntoView());
    }
    await page.screenshot({path});
  }
  await page.close();
}
await browser.close();
