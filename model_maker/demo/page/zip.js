/** Reads the zip that stands behind a .tflite: labels and other small files. */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;
// What a label file may unfold to; a bomb does not get to.
const MAX_BYTES = 16 << 20;

/** Returns a Map of name to bytes; empty where no zip follows. */
export async function files(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOfZip(view);
  const found = new Map();
  if (end < 0) {
    return found;
  }
  const directory = end - view.getUint32(end + 12, true);
  // Offsets count from where the zip begins, which some writers take to be the start of the file and some not.
  const start = directory - view.getUint32(end + 16, true);
  let at = directory;
  for (let count = view.getUint16(end + 10, true); count > 0 && view.getUint32(at, true) === ENTRY; count -= 1) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (view.getUint32(at + 24, true) < MAX_BYTES) {
      found.set(name, await content(bytes, view, at, start));
    }
    at += 46 + nameLength + extraLength + commentLength;
  }
  return found;
}

async function content(bytes, view, entry, start) {
  const method = view.getUint16(entry + 10, true);
  const size = view.getUint32(entry + 20, true);
  const header = start + view.getUint32(entry + 42, true);
  const from = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  const packed = bytes.subarray(from, from + size);
  if (method === STORED) {
    return packed;
  }
  if (method !== DEFLATED) {
    throw new RangeError(`zip method ${method}`);
  }
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

function endOfZip(view) {
  const last = view.byteLength - 22;
  for (let at = last; at >= 0 && at > last - 65536; at -= 1) {
    if (view.getUint32(at, true) === END) {
      return at;
    }
  }
  return -1;
}
