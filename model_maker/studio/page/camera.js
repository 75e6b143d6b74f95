/** The camera: hold to capture, or a countdown; which camera is a choice. */

import {close, openCamera} from './demo/live.js';
import {byId, fillSelect} from './elements.js';
import {snapshot} from './files.js';

const MS_BETWEEN_SHOTS = 150;
const MS_FOR_A_FRAME = 2000;
const SECONDS = 3;
const BURST = 10;

let label = null;
let send = null;
let complain = null;
let holding = false;
let taken = 0;
let ready = false;

/**
 * Opens the camera for a class.
 *
 * @param {string} name the class.
 * @param {(shots: {blob: Blob, name: string, label: string}[]) => Promise} take receives shots.
 * @param {(text: string) => void} tell receives what went wrong.
 */
export async function openCapture(name, take, tell) {
  prepare();
  [label, send, complain, taken] = [name, take, tell, 0];
  byId('camera-title').textContent = `Camera: ${name}`;
  byId('camera-count').textContent = '';
  byId('camera').showModal();
  await start();
}

async function start(device = null) {
  const video = byId('camera-live');
  close(video);
  try {
    await openCamera(video, device);
  } catch (error) {
    byId('camera').close();
    complain(error.message);
    return;
  }
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({kind}) => kind === 'videoinput');
  const choice = byId('camera-choice');
  fillSelect(choice, cameras.map(({deviceId}) => deviceId));
  cameras.forEach(({label: text}, index) => (choice.options[index].textContent = text || `Camera ${index + 1}`));
  const used = video.srcObject.getVideoTracks()[0].getSettings().deviceId;
  choice.value = used;
}

function prepare() {
  if (ready) {
    return;
  }
  ready = true;
  const hold = byId('camera-hold');
  hold.addEventListener('pointerdown', () => capture());
  hold.addEventListener('keydown', (event) => {
    if ([' ', 'Enter'].includes(event.key)) {
      event.preventDefault();
      event.repeat || capture();
    }
  });
  for (const kind of ['pointerup', 'pointerleave', 'pointercancel', 'keyup', 'blur']) {
    hold.addEventListener(kind, () => (holding = false));
  }
  byId('camera-timer').addEventListener('click', countdown);
  byId('camera-close').addEventListener('click', () => byId('camera').close());
  byId('camera-choice').addEventListener('change', () => start(byId('camera-choice').value));
  byId('camera').addEventListener('close', () => {
    holding = false;
    close(byId('camera-live'));
  });
}

async function capture(most = Infinity) {
  if (holding) {
    return;
  }
  holding = true;
  const shots = [];
  while (holding && shots.length < most && (await newFrame()) && byId('camera').open) {
    shots.push(await shoot());
    byId('camera-count').textContent = `${taken} taken`;
    await new Promise((resolve) => setTimeout(resolve, MS_BETWEEN_SHOTS));
  }
  holding = false;
  shots.length && (await send(shots));
}

/** Waits for a frame that is new, for a slow camera would give the same one twice; false where none comes any more. */
function newFrame() {
  const video = byId('camera-live');
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), MS_FOR_A_FRAME);
    const come = () => resolve(true);
    video.requestVideoFrameCallback ? video.requestVideoFrameCallback(come) : requestAnimationFrame(come);
  });
}

async function shoot() {
  const video = byId('camera-live');
  const blob = await snapshot(video);
  taken += 1;
  const stamp = new Date().toISOString().replace(/[:.]/g, '-').slice(0, 23);
  return {blob, name: `camera ${stamp}.jpg`, label};
}

async function countdown() {
  for (let left = SECONDS; left > 0 && byId('camera').open; left -= 1) {
    byId('camera-count').textContent = String(left);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  await capture(BURST);
}
