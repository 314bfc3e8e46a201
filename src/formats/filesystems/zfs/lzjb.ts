/**
 * The two small codecs of ZFS itself: LZJB, and the run-length coding of zeroes (ZLE).
 * Source: OpenZFS `module/zfs/lzjb.c`, `module/zfs/zle.c` (comments).
 */
import { FormatError } from '../../../core/index.ts';

const MATCH_BITS = 6;
const MATCH_MIN = 3;
const OFFSET_MASK = 0x3ff;
/** Lengths below are literal bytes, those from it on zeroes. */
const ZLE_LEVEL = 64;

function fault(structure: string, field: string, offset: number, expected: string): FormatError {
  return new FormatError(`Decode ${structure} block`, { structure, field, offset, expected });
}

/** Fills `output` from an LZJB block. @throws {FormatError} when it is cut or refers to bytes before its start. */
export function decodeLzjb(input: Uint8Array, output: Uint8Array): void {
  let at = 0;
  let to = 0;
  while (to < output.length) {
    const map = input[at];
    if (map === undefined) throw fault('lzjb', 'map', at, 'more bytes');
    at += 1;
    for (let bit = 0; bit < 8 && to < output.length; bit += 1) {
      const first = input[at];
      if (first === undefined) throw fault('lzjb', 'item', at, 'more bytes');
      at += 1;
      if ((map >> bit & 1) === 0) {
        output[to] = first;
        to += 1;
        continue;
      }
      const second = input[at];
      if (second === undefined) throw fault('lzjb', 'match', at, 'more bytes');
      at += 1;
      const distance = (first << 8 | second) & OFFSET_MASK;
      if (distance === 0 || distance > to) throw fault('lzjb', 'offset', at, `1 to ${to}`);
      const end = Math.min(output.length, to + (first >> 8 - MATCH_BITS) + MATCH_MIN);
      for (; to < end; to += 1) output[to] = output[to - distance] as number;
    }
  }
}

/** Fills `output`, which is zeroes, from a ZLE block. @throws {FormatError} when it is cut or too long. */
export function decodeZle(input: Uint8Array, output: Uint8Array): void {
  let at = 0;
  let to = 0;
  while (to < output.length) {
    const length = input[at];
    if (length === undefined) throw fault('zle', 'length', at, 'more bytes');
    at += 1;
    const literals = length < ZLE_LEVEL ? length + 1 : 0;
    const zeroes = length < ZLE_LEVEL ? 0 : length + 1 - ZLE_LEVEL;
    if (literals > input.length - at) throw fault('zle', 'literals', at, `${literals} bytes of input`);
    if (literals + zeroes > output.length - to) throw fault('zle', 'length', at, `at most ${output.length - to} bytes of output`);
    output.set(input.subarray(at, at + literals), to);
    at += literals;
    to += literals + zeroes;
  }
}
