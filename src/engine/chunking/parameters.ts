/**
 * How a stream is cut, frozen per dataset: changing the average of a dataset stores nearly all of it again, so the
 * parameters travel in its manifest and are never tuned in place.
 */
import { defaultLimits, UsageError } from '../../core/index.ts';

/** FastCDC with normalised chunking, level 2. Sizes in bytes: cuts fall after more than `minBytes` and at most `maxBytes`. */
export interface FastCdcParameters {
  readonly algorithm: 'fastcdc';
  /** Whole KiB, 2…8 KiB, below the average. The first `minBytes` of a chunk are not even hashed. */
  readonly minBytes: number;
  /** A power of two, 8…64 KiB. */
  readonly averageBytes: number;
  /** Whole KiB, 32…256 KiB, above the average. */
  readonly maxBytes: number;
}

/** Aligned blocks, for disk images whose changes keep their place. `blockBytes` is a power of two, 4 KiB…1 MiB. */
export interface FixedParameters {
  readonly algorithm: 'fixed';
  readonly blockBytes: number;
}

/** What a manifest records about its chunker. */
export type ChunkerParameters = FastCdcParameters | FixedParameters;

/** 4, 16 and 64 KiB. */
export const defaultFastCdc: FastCdcParameters = Object.freeze({
  algorithm: 'fastcdc', minBytes: 4 << 10, averageBytes: 16 << 10, maxBytes: 64 << 10,
});

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && (value & (value - 1)) === 0;
}

function requireSize(name: string, value: number, kib: readonly [number, number]): void {
  const [least, most] = kib;
  if (Number.isInteger(value) && value % 1024 === 0 && value >= least << 10 && value <= most << 10) return;
  throw new UsageError(`Choose '${name}' between '${least}' and '${most}' KiB, in whole KiB: found '${value}' bytes`, { name, found: value });
}

/**
 * Checks parameters before they are used or recorded.
 * @throws {UsageError} when a size is outside its range, the average (or block) is no power of two, or min < average < max fails.
 */
export function checkChunkerParameters(parameters: ChunkerParameters): void {
  if (parameters.algorithm === 'fixed') {
    requireSize('blockBytes', parameters.blockBytes, [4, defaultLimits.chunkBytesMax >> 10]);
    if (!isPowerOfTwo(parameters.blockBytes)) {
      throw new UsageError(`Choose a power of two for 'blockBytes': found '${parameters.blockBytes}'`);
    }
    return;
  }
  const { minBytes, averageBytes, maxBytes } = parameters;
  requireSize('minBytes', minBytes, [2, 8]);
  requireSize('averageBytes', averageBytes, [8, 64]);
  requireSize('maxBytes', maxBytes, [32, 256]);
  if (!isPowerOfTwo(averageBytes)) throw new UsageError(`Choose a power of two for 'averageBytes': found '${averageBytes}'`);
  if (minBytes >= averageBytes || averageBytes >= maxBytes) {
    throw new UsageError(`Choose sizes with min < average < max: found '${minBytes}', '${averageBytes}', '${maxBytes}'`);
  }
}
