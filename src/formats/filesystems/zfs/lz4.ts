/**
 * LZ4 blocks. Source: "LZ4 Block Format Description" of the LZ4 project.
 * Invariants: reads stay in `input`, writes in `output`; each step consumes input, so time is bounded by both lengths.
 */
import { FormatError } from '../../../core/index.ts';

const MATCH_MIN = 4;
/** Fewer bytes are copied faster by hand. */
const COPY_BYTES = 48;

function fault(field: string, offset: number, expected: string): FormatError {
  return new FormatError('Decode LZ4 block', { structure: 'lz4', field, offset, expected });
}

/**
 * Decodes one block, which must fill `output`; input behind the last byte of output is an error.
 * @throws {FormatError} when it is cut, refers to bytes before its start, or has another size.
 */
export function decodeLz4(input: Uint8Array, output: Uint8Array): void {
  const inputEnd = input.length;
  const outputEnd = output.length;
  let at = 0;
  let to = 0;
  while (at < inputEnd) {
    const token = input[at] as number;
    at += 1;
    let literals = token >> 4;
    if (literals === 15) {
      const end = longLengthEnd(input, at);
      literals += 255 * (end - at - 1) + (input[end - 1] as number);
      at = end;
    }
    if (literals > inputEnd - at) throw fault('literals', at, `${literals} bytes of input`);
    if (literals > outputEnd - to) throw fault('literals', at, `at most ${outputEnd - to} bytes of output`);
    const literalsEnd = at + literals;
    if (literals > COPY_BYTES) {
      output.set(input.subarray(at, literalsEnd), to);
      to += literals;
      at = literalsEnd;
    } else while (at < literalsEnd) output[to++] = input[at++] as number;
    if (at === inputEnd) break;
    if (at + 2 > inputEnd) throw fault('offset', at, '2 bytes');
    const distance = (input[at] as number) | (input[at + 1] as number) << 8;
    at += 2;
    let length = (token & 15) + MATCH_MIN;
    if (length === 15 + MATCH_MIN) {
      const end = longLengthEnd(input, at);
      length += 255 * (end - at - 1) + (input[end - 1] as number);
      at = end;
    }
    if (distance === 0 || distance > to) throw fault('offset', at, `1 to ${to}`);
    if (length > outputEnd - to) throw fault('match', at, `at most ${outputEnd - to} bytes of output`);
    const end = to + length;
    let from = to - distance;
    if (distance >= length && length > COPY_BYTES) output.copyWithin(to, from, from + length);
    else if (distance === 1) output.fill(output[from] as number, to, end);
    // A match may overlap itself: the bytes it copies are then the ones it has just written.
    else while (to < end) output[to++] = output[from++] as number;
    to = end;
  }
  if (to !== outputEnd) throw fault('size', to, `${outputEnd} bytes of output`);
}

/** Where the bytes end that go on with a length: all but the last are 255. */
function longLengthEnd(input: Uint8Array, start: number): number {
  let at = start;
  while (input[at] === 255) at += 1;
  if (at >= input.length) throw fault('length', at, 'more bytes');
  return at + 1;
}
