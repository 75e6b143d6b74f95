/**
 * Runs a page of `demo` on photos, in headless Chromium.
 *
 * stdin: {"chromium": path, "url": address of the page, "threads": number, "photos": [paths]}
 * stdout: {"browser": version, "heads": [[[score of each label] of each photo]], "latency_ms": [of each photo]}
 */

import {readFileSync} from 'node:fs';

import {launch} from './chromium.mjs';

// An error's first line, without the names that playwright puts before it.
const inWords = (error) => error.message.split('\n')[0].replace(/^(\w+\.\w+: )?(\w*Error: )?/, '');

// The browser ends with this process, and this one with the one that started it, however that ends.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), 500).unref();

const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await launch(job.chromium);
try {
  const page = await browser.newPage();
  await page.goto(job.url);
  // The page's own modules do the work: `import` gives the instances that it runs on.
  const input = await page.evaluateHandle(async ({threads}) => {
    const {ready} = await import('./app.js');
    await (await ready).useThreads(threads);
    return Object.assign(document.createElement('input'), {type: 'file', multiple: true});
  }, job);
  const [heads, latencyMs] = [[], []];
  for (const photo of job.photos) {
    try {
      await input.setInputFiles(photo);
      const found = await input.evaluate(async ({files: [file]}) => {
        const [{classify}, {decode}] = await Promise.all([import('./app.js'), import('./picture.js')]);
        const image = await decode(file);
        try {
          const {heads, latencyMs} = await classify(image);
          return {heads: heads.map((scores) => [...scores]), latencyMs};
        } finally {
          image.close();
        }
      });
      found.heads.forEach((scores, head) => (heads[head] ??= []).push(scores));
      latencyMs.push(found.latencyMs);
    } catch (error) {
      throw new Error(`${photo}: ${inWords(error)}`);
    }
  }
  console.log(JSON.stringify({browser: browser.version(), heads, latency_ms: latencyMs}));
} catch (error) {
  console.error(inWords(error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
