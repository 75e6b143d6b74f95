/** Files and video frames as pixels: upright RGB over black, without colour profiles, as in training. */

// Wider canvases stay empty in some browsers.
const MAX_WIDTH = 16384;

/** Why a file cannot be used, in a line for people. */
export class PictureError extends Error {}

/**
 * Decodes a photo; the browser turns it upright as its EXIF data says.
 *
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>}
 */
export async function decode(file) {
  try {
    return await createImageBitmap(file, {colorSpaceConversion: 'none'});
  } catch {
    throw new PictureError(reason(new Uint8Array(await file.slice(0, 12).arrayBuffer())));
  }
}

/**
 * The pixels of a decoded photo or of a video's current frame, for `resize`.
 *
 * @param {ImageBitmap|HTMLVideoElement} image
 */
export function pixels(image) {
  const width = image.videoWidth ?? image.width;
  const height = image.videoHeight ?? image.height;
  if (width > MAX_WIDTH) {
    throw new PictureError(`${width} pixels wide; make it ${MAX_WIDTH} or less`);
  }
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', {alpha: false, willReadFrequently: true});
  return {
    width,
    height,
    rows(top, count) {
      // A new size clears the canvas to black, so that transparent parts become black.
      [canvas.width, canvas.height] = [width, count];
      context.imageSmoothingEnabled = false;
      context.drawImage(image, 0, top, width, count, 0, 0, width, count);
      return context.getImageData(0, 0, width, count).data;
    },
  };
}

/** What a file that cannot be decoded is, by its first bytes. */
function reason(start) {
  const text = String.fromCharCode(...start);
  if (!start.length) {
    return 'empty file';
  }
  if (text.slice(4, 8) === 'ftyp') {
    return 'this browser does not open HEIC or AVIF pictures; save it as JPEG';
  }
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) {
    return 'this browser does not open TIFF pictures; save it as JPEG or PNG';
  }
  const known = ['\xff\xd8\xff', '\x89PNG', 'GIF8', 'RIFF', 'BM'];
  return known.some((mark) => text.startsWith(mark)) ? 'damaged picture' : 'not a photo';
}

/** Pixels, RGB [height, width, 3], as a picture. */
export function pictureOf(fitted, {height, width}) {
  const picture = new ImageData(width, height);
  fitted.forEach((value, place) => (picture.data[Math.floor(place / 3) * 4 + (place % 3)] = value));
  for (let place = 3; place < picture.data.length; place += 4) {
    picture.data[place] = 255;
  }
  return picture;
}
