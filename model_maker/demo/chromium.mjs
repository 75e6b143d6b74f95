/** Starts headless Chromium with playwright-core, which is found beside this project or by NODE_PATH. */

import {createRequire} from 'node:module';

// Of several such lists Chromium reads the last. The first two names are popups of the address bar, which would take a
// process for each window; the others are those that playwright turns off on this browser.
const OFF = [
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
  'AimEnabled',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsFirstBalancedModeAutoEnable',
  'HttpsUpgrades',
  'LensOverlay',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationHints',
  'PaintHolding',
  'PreconnectToSearch',
  'TcpPortRandomizationWin',
  'ThirdPartyStoragePartitioning',
];

/**
 * @param {string} executable the browser.
 * @param {string[]} more flags.
 */
export function launch(executable, more = []) {
  const {chromium} = createRequire(import.meta.url)('playwright-core');
  // Nothing is asked of the network but the page itself.
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const args = [...quiet, '--disable-component-update', '--disable-sync', `--disable-features=${OFF}`, ...more];
  return chromium.launch({executablePath: executable, headless: true, args});
}
