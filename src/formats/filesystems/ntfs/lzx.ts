/**
 * LZX decoder for one chunk of up to 32 KiB, as WIM files and WOF keep them: a window of 32 KiB, nothing kept between chunks, calls of x86
 * translated as if the file had 12,000,000 bytes.
 * Source: Microsoft "LZX DELTA Compression and Decompression" [MS-PATCH], section 2, without its delta part; wimlib's documentation for the
 * figures of the WIM variant.
 *
 * Invariants: writes stay in `output`; each block has at least one byte and each step fills some of it, so time is bounded by its length.
 */
import { FormatError } from '../../../core/index.ts';
import { BitWords } from './bit-words.ts';
import { copyMatch } from './copy-match.ts';
import { PrefixCode } from './prefix-code.ts';

const STRUCTURE = 'LZX chunk';
const WINDOW_BYTES = 32 << 10;
const BLOCK = { verbatim: 1, aligned: 2, stored: 3 } as const;
const LITERALS = 256;
const OFFSET_SLOTS = 30;
const MAIN_SYMBOLS = LITERALS + 8 * OFFSET_SLOTS;
const LENGTH_SYMBOLS = 249;
const LENGTH_MIN = 2;
/** A length in the main symbol that goes on in the length code. */
const LENGTH_MORE = 7;
/** The file size that the translation of calls uses. */
const CALL_FILE_BYTES = 12_000_000;

/** Bits that follow each slot, and the offset that it begins at. */
const SLOT_BITS = Uint8Array.from({ length: OFFSET_SLOTS }, (_, slot) => (slot < 4 ? 0 : (slot >> 1) - 1));
const SLOT_BASES = Uint32Array.from({ length: OFFSET_SLOTS }, (_, slot) => Array.from(SLOT_BITS.subarray(0, slot)).reduce((sum, bits) => sum + 2 ** bits, 0));

function fault(field: string, offset: number, found: number, expected: string): FormatError {
  return new FormatError('Decode LZX', { structure: STRUCTURE, field, offset, found, expected });
}

/** Lengths of codes are differences from the block before, themselves in a code. */
function readLengths(bits: BitWords, lengths: Uint8Array): void {
  const preLengths = Uint8Array.from({ length: 20 }, () => bits.take(4));
  const code = new PrefixCode('LZX code lengths', 20);
  code.build(preLengths);
  const changed = (at: number): number => {
    const symbol = code.next(bits);
    if (symbol > 16) throw fault('code length', bits.at, symbol, 'at most 16 in a run');
    return ((lengths[at] as number) + 17 - symbol) % 17;
  };
  for (let at = 0; at < lengths.length;) {
    const symbol = code.next(bits);
    if (symbol <= 16) {
      lengths[at] = ((lengths[at] as number) + 17 - symbol) % 17;
      at += 1;
      continue;
    }
    const count = symbol === 17 ? bits.take(4) + 4 : symbol === 18 ? bits.take(5) + 20 : bits.take(1) + 4;
    const value = symbol === 19 ? changed(at) : 0;
    if (at + count > lengths.length) throw fault('code length run', bits.at, count, `at most ${lengths.length - at}`);
    lengths.fill(value, at, at + count);
    at += count;
  }
}

class LzxDecoder {
  readonly #output: Uint8Array;
  readonly #input: Uint8Array;
  readonly #bits: BitWords;
  readonly #mainLengths = new Uint8Array(MAIN_SYMBOLS);
  readonly #lengthLengths = new Uint8Array(LENGTH_SYMBOLS);
  readonly #main = new PrefixCode(STRUCTURE, MAIN_SYMBOLS);
  readonly #length = new PrefixCode(STRUCTURE, LENGTH_SYMBOLS);
  readonly #aligned = new PrefixCode(STRUCTURE, 8);
  readonly #recent = [1, 1, 1];

  constructor(input: Uint8Array, output: Uint8Array) {
    this.#input = input;
    this.#output = output;
    this.#bits = new BitWords(input, 0);
  }

  run(): void {
    for (let to = 0; to < this.#output.length;) {
      const bits = this.#bits;
      const type = bits.take(3);
      const size = bits.take(1) === 1 ? WINDOW_BYTES : bits.take(16);
      if (size === 0 || to + size > this.#output.length) throw fault('block size', bits.at, size, `1 to ${this.#output.length - to}`);
      if (type === BLOCK.stored) this.#stored(to, size);
      else if (type === BLOCK.verbatim || type === BLOCK.aligned) this.#coded(to, to + size, type === BLOCK.aligned);
      else throw fault('block type', bits.at, type, '1, 2 or 3');
      to += size;
    }
  }

  #stored(to: number, size: number): void {
    const at = this.#bits.nextWordAt();
    if (at + 12 + size > this.#input.length) throw fault('stored block', at, size, `at most ${this.#input.length - at - 12} bytes`);
    const view = new DataView(this.#input.buffer, this.#input.byteOffset + at, 12);
    for (let i = 0; i < 3; i += 1) this.#recent[i] = view.getUint32(4 * i, true);
    this.#output.set(this.#input.subarray(at + 12, at + 12 + size), to);
    this.#bits.restart(at + 12 + size + (size & 1));
  }

  #coded(start: number, end: number, isAligned: boolean): void {
    const bits = this.#bits;
    if (isAligned) this.#aligned.build(Uint8Array.from({ length: 8 }, () => bits.take(3)));
    readLengths(bits, this.#mainLengths.subarray(0, LITERALS));
    readLengths(bits, this.#mainLengths.subarray(LITERALS));
    this.#main.build(this.#mainLengths);
    readLengths(bits, this.#lengthLengths);
    this.#length.build(this.#lengthLengths);
    const output = this.#output.subarray(0, end);
    for (let to = start; to < end;) {
      const symbol = this.#main.next(bits);
      if (bits.isPastEnd) throw fault('input', bits.at, to, `${end} bytes before the end`);
      if (symbol < LITERALS) {
        output[to++] = symbol;
        continue;
      }
      const head = (symbol - LITERALS) & 7;
      const length = (head === LENGTH_MORE ? this.#length.next(bits) + LENGTH_MORE : head) + LENGTH_MIN;
      const offset = this.#offset((symbol - LITERALS) >>> 3, isAligned);
      to = copyMatch(output, to, { offset, length, structure: STRUCTURE });
    }
  }

  /** Slots 0 to 2 are the last offsets. */
  #offset(slot: number, isAligned: boolean): number {
    const recent = this.#recent;
    const count = SLOT_BITS[slot] as number;
    let offset: number;
    if (slot < 3) {
      offset = recent[slot] as number;
      recent[slot] = recent[0] as number;
    } else {
      const base = (SLOT_BASES[slot] as number) - 2;
      if (isAligned && count >= 3) offset = base + this.#bits.take(count - 3) * 8 + this.#aligned.next(this.#bits);
      else offset = base + this.#bits.take(count);
      recent[2] = recent[1] as number;
      recent[1] = recent[0] as number;
    }
    recent[0] = offset;
    return offset;
  }
}

/** Targets of calls, which the writer made absolute, become relative again. */
function restoreCalls(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - 10;
  for (let at = bytes.indexOf(0xe8); at >= 0 && at < end; at = bytes.indexOf(0xe8, at)) {
    const target = view.getInt32(at + 1, true);
    if (target >= -at && target < CALL_FILE_BYTES) view.setInt32(at + 1, target >= 0 ? target - at : target + CALL_FILE_BYTES, true);
    at += 5;
  }
}

/** Decodes a chunk that fills `output`. @throws {FormatError} when it is no LZX, too short, or leaves `output`. */
export function decodeLzx(input: Uint8Array, output: Uint8Array): void {
  if (output.length > WINDOW_BYTES) throw fault('chunk', 0, output.length, `at most ${WINDOW_BYTES}`);
  new LzxDecoder(input, output).run();
  restoreCalls(output);
}
