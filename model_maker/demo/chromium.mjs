/** Starts headless Chromium with playwright-core, which is found beside this project or by NODE_PATH. */

import {createRequire} from 'node:module';

/**
 * @param {string} executable the browser.
 * @param {string[]} more flags.
 */
export function launch(executable, more = []) {
  const {chromium} = createRequire(import.meta.url)('playwright-core');
  // Nothing is asked of the network but the page itself.
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const args = [...quiet, '--disable-component-update', '--disable-sync', ...more];
  return chromium.launch({executablePath: executable, headless: true, args});
}
