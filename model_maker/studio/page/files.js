/** Files as people give them: dropped folders, zip files, videos, the clipboard. What comes out is ready to be sent. */

import {close, openFilm} from './demo/live.js';

// Of a video, one frame in so many seconds, and so many at most.
const SECONDS_BETWEEN_FRAMES = 0.5;
const MOST_FRAMES = 200;
const QUALITY = 0.92;
const WAIT_MS = 5000;

/**
 * Collects what was dropped, with the folders that it lies in.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<{file: File, folders: string[]}[]>}
 */
export async function dropped(transfer) {
  // Entries have to be taken before anything is waited for.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...transfer.files];
  if (!entries.some(Boolean)) {
    return files.map((file) => ({file, folders: []}));
  }
  const found = [];
  for (const entry of entries.filter(Boolean)) {
    await walk(entry, [], found);
  }
  return found;
}

async function walk(entry, folders, found) {
  if (entry.name.startsWith('.')) {
    return;
  }
  if (entry.isFile) {
    found.push({file: await new Promise((resolve, reject) => entry.file(resolve, reject)), folders});
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) {
      return;
    }
    for (const below of some) {
      await walk(below, [...folders, entry.name], found);
    }
  }
}

/** The same of an input that chose a folder, `<folder>/<class>/<photo>`. */
export function chosen(files) {
  return [...files].map((file) => ({file, folders: (file.webkitRelativePath || '').split('/').slice(0, -1)}));
}

export function isVideo(file) {
  return file.type.startsWith('video/');
}

export function isArchive(file) {
  return file.name.toLowerCase().endsWith('.zip');
}

/** Whether a file may be sent at all; folders contain other files. */
export function isWanted(file) {
  return file.type.startsWith('image/') || /\.(heic|heif|jfif|avif|p[bgnp]m|tiff?)$/i.test(file.name) || isArchive(file);
}

/**
 * Frames out of a video, as JPEG.
 *
 * @returns {Promise<{blob: Blob, name: string}[]>}
 */
export async function frames(file) {
  const video = Object.assign(document.createElement('video'), {muted: true, playsInline: true});
  await openFilm(video, file);
  video.pause();
  try {
    const stem = file.name.replace(/\.[^.]*$/, '');
    const length = await duration(video);
    const step = Math.max(SECONDS_BETWEEN_FRAMES, length / MOST_FRAMES);
    const found = [];
    for (let time = 0; time === 0 || time < length; time += step) {
      await seek(video, time);
      found.push({blob: await snapshot(video), name: `${stem} ${String(found.length + 1).padStart(3, '0')}.jpg`});
    }
    return found;
  } finally {
    close(video);
  }
}

/** How long a video is, in seconds. What browsers record does not say so: it is known once its end has been looked for. */
async function duration(video) {
  if (!Number.isFinite(video.duration)) {
    await seek(video, Number.MAX_SAFE_INTEGER);
  }
  return Number.isFinite(video.duration) ? video.duration : 0;
}

function seek(video, time) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, WAIT_MS);
    video.addEventListener(
      'seeked',
      () => {
        clearTimeout(timer);
        resolve();
      },
      {once: true},
    );
    video.currentTime = time;
  });
}

/** What a video shows now, as a JPEG without any metadata. */
export function snapshot(video) {
  const canvas = Object.assign(document.createElement('canvas'), {width: video.videoWidth, height: video.videoHeight});
  canvas.getContext('2d', {alpha: false}).drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', QUALITY));
}
