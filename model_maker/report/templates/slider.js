// Shows the row of the score that the slider is at. Without a script, the table below it stands alone.
(() => {
  const at = (id) => document.getElementById(id);
  const rows = JSON.parse(at('rates').textContent);
  const slider = at('score');
  const cells = [...at('slider').querySelectorAll('[data-column]')];
  const show = () => {
    const row = rows[slider.value];
    for (const cell of cells) cell.textContent = row[cell.dataset.column];
    const said = cells.slice(1).map((cell) => `${cell.parentNode.firstChild.textContent} ${cell.textContent}`);
    slider.setAttribute('aria-valuetext', [row[0], ...said].join(', '));
  };
  slider.addEventListener('input', show);
  at('slider').hidden = false;
  show();
})();
