/** Canonical prefix codes (Huffman) given by the lengths of their codes. Source: Microsoft [MS-XCA], section 2.2.2; [MS-PATCH], section 2.2. */
import { FormatError } from '../../../core/index.ts';
import type { BitWords } from './bit-words.ts';

/** Codes of up to this many bits are found by one look. */
const QUICK_BITS = 10;
const BITS_MAX = 16;

/** A code. */
export class PrefixCode {
  readonly #structure: string;
  /** Symbol × 32 + length by the next bits; 0: a longer code. */
  readonly #quick = new Uint32Array(1 << QUICK_BITS);
  /** Symbols ordered by code. */
  readonly #symbols: Uint16Array;
  /** By length: codes of that length are below this when read as 16 bits, and where the first stands in `#symbols` less its code. */
  readonly #limits = new Uint32Array(BITS_MAX + 1);
  readonly #bases = new Int32Array(BITS_MAX + 1);

  /** `structure` names it in errors; a code has up to `symbolsMax` symbols. */
  constructor(structure: string, symbolsMax: number) {
    this.#structure = structure;
    this.#symbols = new Uint16Array(symbolsMax);
  }

  /** Takes up new lengths: 0 for symbols that do not occur, at most 16. @throws {FormatError} when there are more codes than fit. */
  build(lengths: Uint8Array): void {
    const counts = new Uint32Array(BITS_MAX + 2);
    for (const length of lengths) counts[length] = (counts[length] as number) + 1;
    counts[0] = 0;
    let code = 0;
    let index = 0;
    const next = new Uint32Array(BITS_MAX + 2);
    for (let length = 1; length <= BITS_MAX; length += 1) {
      code *= 2;
      this.#bases[length] = index - code;
      next[length] = index;
      code += counts[length] as number;
      index += counts[length] as number;
      if (code > 2 ** length) throw new FormatError('Decode prefix code', { structure: this.#structure, field: 'lengths', found: code, expected: `at most ${2 ** length} codes of ${length} bits` });
      this.#limits[length] = code * 2 ** (BITS_MAX - length);
    }
    for (let symbol = 0; symbol < lengths.length; symbol += 1) {
      const length = lengths[symbol] as number;
      if (length === 0) continue;
      const place = next[length] as number;
      this.#symbols[place] = symbol;
      next[length] = place + 1;
    }
    this.#fillQuick();
  }

  #fillQuick(): void {
    this.#quick.fill(0);
    let from = 0;
    for (let length = 1; length <= QUICK_BITS; length += 1) {
      const to = (this.#limits[length] as number) >>> (BITS_MAX - QUICK_BITS);
      const shift = QUICK_BITS - length;
      for (let bits = from; bits < to; bits += 1) this.#quick[bits] = (this.#symbols[(bits >>> shift) + (this.#bases[length] as number)] as number) * 32 + length;
      from = Math.max(from, to);
    }
  }

  /** Takes the next symbol. @throws {FormatError} when the bits are no code. */
  next(bits: BitWords): number {
    const quick = this.#quick[bits.peek(QUICK_BITS)] as number;
    if (quick !== 0) {
      bits.drop(quick & 31);
      return quick >>> 5;
    }
    const value = bits.peek(BITS_MAX);
    for (let length = QUICK_BITS + 1; length <= BITS_MAX; length += 1) {
      if (value < (this.#limits[length] as number)) {
        bits.drop(length);
        return this.#symbols[(value >>> (BITS_MAX - length)) + (this.#bases[length] as number)] as number;
      }
    }
    throw new FormatError('Decode prefix code', { structure: this.#structure, field: 'code', offset: bits.at, found: value, expected: 'a code in use' });
  }
}
