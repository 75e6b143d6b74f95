/** Progress of a job, as views show it. */

import {byId, show} from './elements.js';

/** Shows how a job stands in the elements `<prefix>-progress`, `-stage` and `-bar`; other jobs hide them. */
export function drawProgress(prefix, job, kind) {
  const runs = job?.state === 'running' && job.kind === kind;
  show(byId(`${prefix}-progress`), runs);
  if (runs) {
    const bar = byId(`${prefix}-bar`);
    byId(`${prefix}-stage`).textContent = job.stage || 'Starting';
    if (job.total) {
      [bar.max, bar.value] = [job.total, job.done];
    } else {
      bar.removeAttribute('value');
    }
  }
  return runs;
}
