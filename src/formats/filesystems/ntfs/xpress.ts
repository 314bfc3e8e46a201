/**
 * XPRESS decoder with Huffman codes, for one chunk, as WOF keeps them.
 * Source: Microsoft [MS-XCA] "Xpress Compression Algorithm", section 2.2 "LZ77+Huffman Decompression Algorithm Details".
 *
 * Invariants: writes stay in `output`; each step fills some of it, so time is bounded by its length.
 */
import { FormatError } from '../../../core/index.ts';
import { BitWords } from './bit-words.ts';
import { copyMatch } from './copy-match.ts';
import { PrefixCode } from './prefix-code.ts';

const STRUCTURE = 'XPRESS chunk';
const SYMBOLS = 512;
/** Two lengths of codes in a byte. */
const TABLE_BYTES = SYMBOLS / 2;
const LENGTH_MIN = 3;

function readLengths(input: Uint8Array): Uint8Array {
  const lengths = new Uint8Array(SYMBOLS);
  for (let i = 0; i < TABLE_BYTES; i += 1) {
    lengths[2 * i] = (input[i] as number) & 15;
    lengths[2 * i + 1] = (input[i] as number) >>> 4;
  }
  return lengths;
}

/** Length of a match whose code says that it goes on in bytes. */
function longLength(bits: BitWords): number {
  const byte = bits.byte();
  if (byte !== 255) return byte + 15;
  const word = bits.word();
  return word !== 0 ? word : bits.word() + bits.word() * 65_536;
}

/** Decodes a chunk that fills `output`. @throws {FormatError} when it is no XPRESS, too short, or leaves `output`. */
export function decodeXpress(input: Uint8Array, output: Uint8Array): void {
  if (input.length < TABLE_BYTES) throw new FormatError('Decode XPRESS', { structure: STRUCTURE, field: 'table', found: input.length, expected: `at least ${TABLE_BYTES} bytes` });
  const code = new PrefixCode(STRUCTURE, SYMBOLS);
  code.build(readLengths(input));
  const bits = new BitWords(input, TABLE_BYTES);
  for (let to = 0; to < output.length;) {
    const symbol = code.next(bits);
    if (bits.isPastEnd) throw new FormatError('Decode XPRESS', { structure: STRUCTURE, field: 'input', offset: bits.at, found: to, expected: `${output.length} bytes before the end` });
    if (symbol < 256) {
      output[to++] = symbol;
      continue;
    }
    const lengthCode = symbol & 15;
    const offsetBits = (symbol >>> 4) & 15;
    const length = (lengthCode === 15 ? longLength(bits) : lengthCode) + LENGTH_MIN;
    const offset = bits.take(offsetBits) + (1 << offsetBits);
    to = copyMatch(output, to, { offset, length, structure: STRUCTURE });
  }
}
