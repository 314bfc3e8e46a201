/** Names: UTF-16 as stored; what a tree may show. */
import { wtf8Of } from '../wtf8.ts';

/** Bytes of names that share a buffer. */
const DECODED_BYTES = 4096;

/** UTF-16LE bytes as a string of code units; nothing is lost. */
export function unitsOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength & ~1).toString('utf16le');
}

/** Decodes names into shared buffers: for a listing, a buffer for each name would cost more than the name. */
export class NameDecoder {
  #buffer: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** The bytes that a tree shows for `length` code units at byte `at`, at most 255. */
  decode(view: DataView, at: number, length: number): Uint8Array {
    if (this.#used + length > this.#buffer.length) {
      this.#buffer = new Uint8Array(DECODED_BYTES);
      this.#used = 0;
    }
    const buffer = this.#buffer;
    const start = this.#used;
    for (let i = 0; i < length; i += 1) {
      const unit = view.getUint16(at + 2 * i, true);
      if (unit >= 0x80) return wtf8Of(unitsOf(new Uint8Array(view.buffer, view.byteOffset + at, 2 * length)));
      buffer[start + i] = unit;
    }
    this.#used += length;
    return new Uint8Array(buffer.buffer, start, length);
  }
}

/** Whether a tree may show a name: not empty, no `.` or `..`, without `/` and NUL. */
export function isShowable(name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1) if (name[i] === 0x2f || name[i] === 0) return false;
  return name.length > 2 || (name.length === 2 ? name[0] !== 0x2e || name[1] !== 0x2e : name.length === 1 && name[0] !== 0x2e);
}
