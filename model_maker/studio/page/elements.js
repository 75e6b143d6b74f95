/** Small things that every view needs: elements, lists that keep what is the same, words. */

export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Whatever is appended as a string is text, never markup.
 *
 * @param {string} tag
 * @param {object} properties of the element; `className`, `type` and the like.
 */
export function make(tag, properties = {}, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

/** Makes a button that does something. */
export function button(text, act, properties = {}) {
  const element = make('button', {type: 'button', ...properties}, text);
  element.addEventListener('click', act);
  return element;
}

export function show(element, visible) {
  element.hidden = !visible;
}

/**
 * Makes a list show some items; elements of items that stay are kept, and with them focus and pictures.
 *
 * @param {Element} list
 * @param {object[]} items
 * @param {(item) => string} key what tells an item from others.
 * @param {(item) => Element} create
 * @param {(element, item) => void} update
 */
export function sync(list, items, key, create, update = () => {}) {
  const old = new Map([...list.children].map((element) => [element.dataset.key, element]));
  let previous = null;
  for (const item of items) {
    const name = key(item);
    let element = old.get(name);
    if (element) {
      old.delete(name);
    } else {
      element = create(item);
      element.dataset.key = name;
    }
    const place = previous ? previous.nextSibling : list.firstChild;
    if (place !== element) {
      list.insertBefore(element, place);
    }
    update(element, item);
    previous = element;
  }
  old.forEach((element) => element.remove());
}

/** Fills a select with texts, and keeps what is chosen where it is still there. */
export function fillSelect(select, texts) {
  const chosen = select.value;
  if (texts.length === select.options.length && texts.every((text, index) => select.options[index].value === text)) {
    return;
  }
  select.replaceChildren(...texts.map((text) => make('option', {value: text}, text)));
  if (texts.includes(chosen)) {
    select.value = chosen;
  }
}

export function counted(number, noun, nouns = `${noun}s`) {
  return `${number.toLocaleString('en')} ${number === 1 ? noun : nouns}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
