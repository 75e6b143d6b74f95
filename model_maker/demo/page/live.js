/** Moving pictures: the camera or a video file, one classified frame after another. */

import {PictureError} from './picture.js';

const REFUSED = {
  NotAllowedError: 'The camera was refused. Allow it in the browser’s address bar, then try again.',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera is in use by another program.',
};

/** Starts a camera, by its identifier; without one, on phones the one at the back. */
export async function openCamera(video, device = null) {
  if (!navigator.mediaDevices) {
    throw new PictureError('The camera needs a page from https or from this computer.');
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: device === null ? {facingMode: 'environment'} : {deviceId: {exact: device}},
    });
  } catch (error) {
    throw new PictureError(REFUSED[error.name] ?? `The camera does not start (${error.message}).`);
  }
  await video.play();
}

/** Plays a video file, again and again. */
export async function openFilm(video, file) {
  video.src = URL.createObjectURL(file);
  try {
    await video.play();
  } catch {
    close(video);
    throw new PictureError(`${file.name}: this browser does not play it`);
  }
}

/**
 * Calls `look` with the video for one frame after another, until it returns false. A frame that comes while the last
 * one is being looked at is left out.
 */
export async function follow(video, look) {
  do {
    await new Promise((resolve) => {
      video.requestVideoFrameCallback ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve);
    });
  } while (await look(video));
}

/** Stops camera or video. */
export function close(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute('src');
  }
  video.load();
}
