/** Questions: one dialog, asked for a text, a choice or a yes. */

import {byId, fillSelect, show} from './elements.js';

/**
 * Asks.
 *
 * @param {{title: string, text: ?string, yes: string, label: ?string, value: ?string, choices: ?string[]}} question
 * @returns {Promise<?string>} the text or choice, "yes" where neither is asked for; null where the answer is no.
 */
export function ask({title, text = '', yes, label = '', value = null, choices = null}) {
  const dialog = byId('ask');
  byId('ask-title').textContent = title;
  byId('ask-text').textContent = text;
  byId('ask-yes').textContent = yes;
  byId('ask-label').textContent = label;
  show(byId('ask-label'), label !== '');
  const input = byId('ask-input');
  const choice = byId('ask-choice');
  show(input, value !== null);
  input.required = value !== null;
  input.value = value ?? '';
  show(choice, choices !== null);
  fillSelect(choice, choices ?? []);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      'close',
      () => {
        if (dialog.returnValue !== 'yes') {
          resolve(null);
        } else if (choices) {
          resolve(choice.value);
        } else {
          resolve(value === null ? 'yes' : input.value);
        }
      },
      {once: true},
    );
  });
}
