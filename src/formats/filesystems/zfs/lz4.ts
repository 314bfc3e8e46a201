/**
 * LZ4 blocks. Source: "LZ4 Block Format Description" of the LZ4 project.
 * Invariants: reads stay in `input`, writes in `output`; each step consumes input, so time is bounded by both lengths.
 */
import { FormatError } from '../../../core/index.ts';

const MATCH_MIN = 4;

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
  const longLength = (base: number): number => {
    let length = base;
    for (;;) {
      const more = input[at];
      if (more === undefined) throw fault('length', at, 'more bytes');
      at += 1;
      length += more;
      if (more !== 255) return length;
    }
  };
  while (at < inputEnd) {
    const token = input[at] as number;
    at += 1;
    const literals = token >> 4 === 15 ? longLength(15) : token >> 4;
    if (literals > inputEnd - at) throw fault('literals', at, `${literals} bytes of input`);
    if (literals > outputEnd - to) throw fault('literals', at, `at most ${outputEnd - to} bytes of output`);
    if (literals > 24) output.set(input.subarray(at, at + literals), to);
    else for (let i = 0; i < literals; i += 1) output[to + i] = input[at + i] as number;
    at += literals;
    to += literals;
    if (at === inputEnd) break;
    if (at + 2 > inputEnd) throw fault('offset', at, '2 bytes');
    const distance = (input[at] as number) | (input[at + 1] as number) << 8;
    at += 2;
    const length = ((token & 15) === 15 ? longLength(15) : token & 15) + MATCH_MIN;
    if (distance === 0 || distance > to) throw fault('offset', at, `1 to ${to}`);
    if (length > outputEnd - to) throw fault('match', at, `at most ${outputEnd - to} bytes of output`);
    const end = to + length;
    if (distance >= length && length > 24) {
      output.copyWithin(to, to - distance, to - distance + length);
      to = end;
    } else if (distance === 1) {
      output.fill(output[to - 1] as number, to, end);
      to = end;
    } else while (to < end) {
      // A match may overlap itself: the bytes it copies are then the ones it has just written.
      output[to] = output[to - distance] as number;
      to += 1;
    }
  }
  if (to !== outputEnd) throw fault('size', to, `${outputEnd} bytes of output`);
}
