/** Numbers in few bytes: groups of seven bits, least significant first, the high bit set on all but the last; signed ones zigzagged. */
import assert from 'node:assert';
import { FormatError } from '../../../core/index.ts';

/** A buffer that grows. */
export class CompactWriter {
  #bytes: Uint8Array = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written so far; a view that the next write may leave behind. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A number from 0 to 2^53 − 1. */
  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a compact number is a whole one from 0');
    this.#reserve(8);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  /** A number of either sign, its magnitude below 2^52. */
  signed(value: number): void {
    this.number(value < 0 ? -value * 2 - 1 : value * 2);
  }

  push(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + count, this.#bytes.length * 2));
    grown.set(this.bytes);
    this.#bytes = grown;
  }
}

/** Reads what {@link CompactWriter} wrote, from a range of bytes that may be hostile. */
export class CompactReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.at;
  }

  /** @throws {FormatError} at the end, and above 2^53 − 1. */
  number(field: string): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8 && this.at < this.#end; i += 1) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER) return value;
        break;
      }
      scale *= 0x80;
    }
    throw new FormatError('Read woven volume', { structure: 'layout', field, offset: this.at, expected: 'a number of at most 53 bits' });
  }

  /** @throws {FormatError} as {@link number}. */
  signed(field: string): number {
    const value = this.number(field);
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  /** A number that some table or buffer has room for. @throws {FormatError} above `most`. */
  bounded(field: string, most: number): number {
    const value = this.number(field);
    if (value > most) throw new FormatError('Read woven volume', { structure: 'layout', field, offset: this.at, found: value, expected: `at most ${most}` });
    return value;
  }

  /** The next bytes as a view. @throws {FormatError} when there are fewer. */
  take(count: number, field: string): Uint8Array {
    if (count > this.left) throw new FormatError('Read woven volume', { structure: 'layout', field, offset: this.at, found: this.left, expected: count });
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}
