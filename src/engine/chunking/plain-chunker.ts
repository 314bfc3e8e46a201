/** FastCDC in TypeScript: the readable twin of `fastcdc.wat`, one byte a step, with the same cuts; about 25 times slower (`bench/micro/chunker.ts`). */
import type { Chunker } from './chunker.ts';
import { gear } from './gear.ts';
import { cutMasks } from './masks.ts';
import { checkChunkerParameters, type FastCdcParameters } from './parameters.ts';

/** Halves of the gear numbers: 64-bit sums are done in two 32-bit ones, because a BigInt costs six times as much. */
const gearLow = Int32Array.from(gear, (number) => Number(BigInt.asIntN(32, number)));
const gearHigh = Int32Array.from(gear, (number) => Number(BigInt.asIntN(32, number >> 32n)));

interface Halves {
  readonly low: number;
  readonly high: number;
}

function halves(mask: bigint): Halves {
  return { low: Number(BigInt.asIntN(32, mask)), high: Number(BigInt.asIntN(32, mask >> 32n)) };
}

/** Works over any bytes, shared or not. */
export class PlainChunker implements Chunker {
  readonly maxBytes: number;
  readonly implementation = 'plain';
  readonly #minBytes: number;
  readonly #averageBytes: number;
  readonly #maskSmall: Halves;
  readonly #maskLarge: Halves;
  readonly #bytes: Uint8Array;

  /** `bytes` is what `offset` counts in; it is kept. @throws {UsageError} when the parameters are not allowed. */
  constructor(parameters: FastCdcParameters, bytes: Uint8Array) {
    checkChunkerParameters(parameters);
    this.maxBytes = parameters.maxBytes;
    this.#minBytes = parameters.minBytes;
    this.#averageBytes = parameters.averageBytes;
    const { maskSmall, maskLarge } = cutMasks(parameters.averageBytes);
    this.#maskSmall = halves(maskSmall);
    this.#maskLarge = halves(maskLarge);
    this.#bytes = bytes;
  }

  cuts(offset: number, length: number, final: boolean, out: Uint32Array): number {
    let count = 0;
    let start = 0;
    while (count < out.length && start < length) {
      const size = this.#chunkSize(this.#bytes.subarray(offset + start, offset + length), final);
      if (size === 0) break;
      start += size;
      out[count] = start;
      count += 1;
    }
    return count;
  }

  /** Length of the chunk at the start of `rest`, 0 when its end is not in there yet. */
  #chunkSize(rest: Uint8Array, final: boolean): number {
    const limit = Math.min(rest.length, this.maxBytes);
    const average = Math.min(limit, this.#averageBytes);
    let low = 0;
    let high = 0;
    let mask = this.#maskSmall;
    for (let at = this.#minBytes; at < limit; at += 1) {
      if (at === average) mask = this.#maskLarge;
      const value = rest[at] as number;
      const sum = (low << 1 >>> 0) + ((gearLow[value] as number) >>> 0);
      const carry = sum > 0xffff_ffff ? 1 : 0;
      high = ((high << 1 | low >>> 31) + (gearHigh[value] as number) + carry) | 0;
      low = sum | 0;
      if (((low & mask.low) | (high & mask.high)) === 0) return at + 1;
    }
    return final || limit === this.maxBytes ? limit : 0;
  }
}
