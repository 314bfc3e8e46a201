/**
 * LZNT1 decoder, written from the published description.
 * Source: Microsoft [MS-XCA] "Xpress Compression Algorithm", section 2.5 "LZNT1 Algorithm Details".
 *
 * Invariants: reads stay in `input`, writes stay in the chunk of `output`; each step consumes input, so time is bounded by its length.
 */
import { FormatError } from '../../../core/index.ts';

/** Bytes of a chunk before compression. */
const CHUNK = 4096;

function fault(field: string, offset: number, found: number, expected: string): FormatError {
  return new FormatError('Decode LZNT1', { structure: 'LZNT1', field, offset, found, expected });
}

/** One compressed chunk of `input[at … end)` to `output[start … stop)`; returns where it ends. */
function decodeChunk(input: Uint8Array, output: Uint8Array, { at, end, start, stop }: { at: number; readonly end: number; readonly start: number; readonly stop: number }): number {
  let to = start;
  // Bits of a pair that are displacement grow with the place in the chunk, from 4.
  let lengthBits = 12;
  let reach = 16;
  while (at < end) {
    const flags = input[at] as number;
    at += 1;
    for (let bit = 0; bit < 8 && at < end; bit += 1) {
      if ((flags & (1 << bit)) === 0) {
        if (to >= stop) throw fault('literal', at, to - start, `at most ${stop - start} bytes in a chunk`);
        output[to++] = input[at++] as number;
        continue;
      }
      if (at + 2 > end) throw fault('pair', at, end - at, '2 bytes');
      const pair = (input[at] as number) | ((input[at + 1] as number) << 8);
      at += 2;
      while (to - start > reach) {
        reach *= 2;
        lengthBits -= 1;
      }
      const length = (pair & ((1 << lengthBits) - 1)) + 3;
      let from = to - (pair >>> lengthBits) - 1;
      if (from < start) throw fault('displacement', at - 2, (pair >>> lengthBits) + 1, `at most ${to - start}`);
      if (to + length > stop) throw fault('length', at - 2, length, `at most ${stop - to}`);
      const last = to + length;
      // A match may overlap itself: the bytes it copies are then the ones it has just written.
      while (to < last) output[to++] = output[from++] as number;
    }
  }
  return to;
}

/**
 * Decodes chunks until the end marker or the end of `input`; a short chunk and all behind the last are zeroes.
 * @throws {FormatError} when the input is not LZNT1 or holds more than `output`, which then is undefined.
 */
export function decodeLznt1(input: Uint8Array, output: Uint8Array): void {
  let at = 0;
  let to = 0;
  while (at + 2 <= input.length && to < output.length) {
    const head = (input[at] as number) | ((input[at + 1] as number) << 8);
    if (head === 0) break;
    if ((head & 0x7000) !== 0x3000) throw fault('signature', at, (head >> 12) & 7, '3');
    const end = at + 3 + (head & 0xfff);
    if (end > input.length) throw fault('size', at, (head & 0xfff) + 1, `at most ${input.length - at - 2}`);
    const stop = Math.min(to + CHUNK, output.length);
    at += 2;
    let filled: number;
    if ((head & 0x8000) !== 0) filled = decodeChunk(input, output, { at, end, start: to, stop });
    else {
      if (end - at > stop - to) throw fault('size', at, end - at, `at most ${stop - to}`);
      output.set(input.subarray(at, end), to);
      filled = to + end - at;
    }
    output.fill(0, filled, stop);
    at = end;
    to = stop;
  }
  output.fill(0, to);
}
