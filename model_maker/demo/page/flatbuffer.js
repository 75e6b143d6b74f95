/**
 * Reads flatbuffers: tables whose fields have numbers, in the order of the schema.
 * A position outside the file throws a RangeError, which callers turn into words.
 */
export class Table {
  #view;
  #position;

  constructor(view, position) {
    this.#view = view;
    this.#position = position;
  }

  /** The outermost table of the bytes of a flatbuffer. */
  static root(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(view, view.getUint32(0, true));
  }

  int8(field, otherwise = 0) {
    const at = this.#at(field);
    return at ? this.#view.getInt8(at) : otherwise;
  }

  uint32(field, otherwise = 0) {
    const at = this.#at(field);
    return at ? this.#view.getUint32(at, true) : otherwise;
  }

  float32(field, otherwise = 0) {
    const at = this.#at(field);
    return at ? this.#view.getFloat32(at, true) : otherwise;
  }

  text(field) {
    return new TextDecoder().decode(this.bytes(field));
  }

  bytes(field) {
    const [start, length] = this.#vector(field);
    if (start + length > this.#view.byteLength) {
      throw new RangeError('a vector ends behind the file');
    }
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length);
  }

  int32s(field) {
    return this.#list(field, 4, (at) => this.#view.getInt32(at, true));
  }

  float32s(field) {
    return this.#list(field, 4, (at) => this.#view.getFloat32(at, true));
  }

  int64s(field) {
    return this.#list(field, 8, (at) => Number(this.#view.getBigInt64(at, true)));
  }

  /** The table in a field; null where there is none. */
  table(field) {
    const at = this.#at(field);
    return at ? this.#follow(at) : null;
  }

  tables(field) {
    return this.#list(field, 4, (at) => this.#follow(at));
  }

  #follow(at) {
    return new Table(this.#view, at + this.#view.getUint32(at, true));
  }

  /** Where a field's value stands; 0 where the table leaves it out. */
  #at(field) {
    const layout = this.#position - this.#view.getInt32(this.#position, true);
    const entry = 4 + 2 * field;
    const offset = entry < this.#view.getUint16(layout, true) ? this.#view.getUint16(layout + entry, true) : 0;
    return offset && this.#position + offset;
  }

  #vector(field) {
    const at = this.#at(field);
    if (!at) {
      return [0, 0];
    }
    const start = at + this.#view.getUint32(at, true);
    return [start + 4, this.#view.getUint32(start, true)];
  }

  #list(field, width, read) {
    const [start, length] = this.#vector(field);
    if (start + length * width > this.#view.byteLength) {
      throw new RangeError('a vector ends behind the file');
    }
    return Array.from({length}, (_, index) => read(start + index * width));
  }
}
