/**
 * LZO1X decoder, written from the published description of the bit stream.
 * Source: Linux kernel documentation, `staging/lzo.rst` ("LZO stream format as understood by Linux' LZO decompressor"),
 * sections "Byte sequences" and "Description" (bitstream version 0, what `lzo1x_1_compress` writes).
 *
 * Invariants: reads stay in `input`, writes stay in `output`, and each step consumes input or fills output, so time is
 * bounded by the two lengths.
 */
import { FormatError } from '../../core/index.ts';

/** Literals that followed the last match; the description calls it "state": 0 none, 1–3 short, 4 a long run. */
type State = 0 | 1 | 2 | 3 | 4;

function fault(field: string, offset: number, expected: string): FormatError {
  return new FormatError('Decode LZO1X block', { structure: 'lzo1x', field, offset, expected });
}

class LzoDecoder {
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  #at = 0;
  #filled = 0;

  constructor(input: Uint8Array, output: Uint8Array) {
    this.#input = input;
    this.#output = output;
  }

  #byte(): number {
    const value = this.#input[this.#at];
    if (value === undefined) throw fault('input', this.#at, 'more bytes before the end marker');
    this.#at += 1;
    return value;
  }

  /** A length whose field was zero goes on in zero bytes of 255 each and a last non-zero byte. */
  #longLength(base: number): number {
    let length = base;
    let value = this.#byte();
    while (value === 0) {
      length += 255;
      value = this.#byte();
    }
    return length + value;
  }

  #literals(count: number): void {
    const end = this.#at + count;
    if (end > this.#input.length) throw fault('literals', this.#at, `${count} bytes of input`);
    if (this.#filled + count > this.#output.length) throw fault('literals', this.#at, `at most ${this.#output.length} bytes of output`);
    this.#output.set(this.#input.subarray(this.#at, end), this.#filled);
    this.#at = end;
    this.#filled += count;
  }

  #match(distance: number, length: number): void {
    const output = this.#output;
    let to = this.#filled;
    let from = to - distance;
    if (from < 0) throw fault('distance', this.#at, `at most ${to}`);
    const end = to + length;
    if (end > output.length) throw fault('match', this.#at, `at most ${output.length} bytes of output`);
    if (distance >= length) output.copyWithin(to, from, from + length);
    // A match may overlap itself: the bytes it copies are then the ones it has just written.
    else while (to < end) output[to++] = output[from++] as number;
    this.#filled = end;
  }

  /** One instruction after the first; returns the new state, or undefined at the end marker. */
  #instruction(state: State): State | undefined {
    const code = this.#byte();
    if (code < 16) {
      if (state === 0) {
        this.#literals(code === 0 ? this.#longLength(18) : code + 3);
        return 4;
      }
      const high = this.#byte();
      if (state === 4) this.#match((high << 2) + (code >> 2) + 2049, 3);
      else this.#match((high << 2) + (code >> 2) + 1, 2);
      return this.#trailing(code & 3);
    }
    if (code >= 64) {
      const length = code >= 128 ? 5 + ((code >> 5) & 3) : 3 + ((code >> 5) & 1);
      this.#match((this.#byte() << 3) + ((code >> 2) & 7) + 1, length);
      return this.#trailing(code & 3);
    }
    const far = code < 32;
    const field = code & (far ? 7 : 31);
    const length = field === 0 ? this.#longLength(far ? 9 : 33) : field + 2;
    const low = this.#byte();
    const pair = low | (this.#byte() << 8);
    const distance = (pair >> 2) + (far ? 16384 + ((code & 8) << 11) : 1);
    if (far && distance === 16384) {
      if (length !== 3) throw fault('end marker', this.#at, 'length 3');
      return undefined;
    }
    this.#match(distance, length);
    return this.#trailing(pair & 3);
  }

  #trailing(count: number): State {
    if (count > 0) this.#literals(count);
    return count as State;
  }

  run(): number {
    let state: State | undefined = 0;
    const first = this.#input[0];
    if (first !== undefined && first > 17) {
      this.#at = 1;
      this.#literals(first - 17);
      state = first < 21 ? (first - 17) as State : 4;
    }
    while (state !== undefined) state = this.#instruction(state);
    if (this.#at !== this.#input.length) throw fault('end marker', this.#at, 'nothing after it');
    return this.#filled;
  }
}

/**
 * Decodes one LZO1X block into `output`.
 * @returns bytes written; `output` beyond them is undefined, as is all of it after an error.
 * @throws {FormatError} when the block is not LZO1X, is cut short, or holds more than `output.length` bytes.
 */
export function decodeLzo1x(input: Uint8Array, output: Uint8Array): number {
  return new LzoDecoder(input, output).run();
}
