/**
 * Grains: how coarsely data is stored, without ever cutting it otherwise. The boundaries of a dataset's chunker never change; a coarser
 * grain stores runs of its chunks as one, a finer one stores parts of each. Units of all grains are nested in one another, so data that was
 * stored in one grain is found again in any other.
 */
import { checkChunkerParameters, type ChunkerParameters, type FastCdcParameters } from '../chunking/index.ts';

/** −1: parts of chunks, half their size on average; 0: chunks; 1 and 2: runs of two and four on average. */
export type Grain = -1 | 0 | 1 | 2;

/** The coarsest; runs end here at the latest, whichever grains are in use. */
export const GRAIN_MAX = 2;

/** Averages that any parameters may have, in bytes. */
const AVERAGE_MIN: number = 8 << 10;
const AVERAGE_MAX: number = 64 << 10;
/** Bytes of the longest unit. */
export const UNIT_BYTES_MAX: number = 256 << 10;

/** Average size of a grain's units, or the size of fixed blocks. */
export function averageOf(parameters: ChunkerParameters, grain: Grain): number {
  return (parameters.algorithm === 'fixed' ? parameters.blockBytes : parameters.averageBytes) * 2 ** grain;
}

/** Whether a dataset with these parameters may be stored in a grain: content-defined units of 8 to 64 KiB, blocks of 8 to 256 KiB. */
export function isAllowed(parameters: ChunkerParameters, grain: Grain): boolean {
  const average = averageOf(parameters, grain);
  if (parameters.algorithm === 'fixed') return grain === 0 || (average >= AVERAGE_MIN && average <= UNIT_BYTES_MAX);
  return grain === 0 || (average >= AVERAGE_MIN && average <= AVERAGE_MAX && parameters.maxBytes <= UNIT_BYTES_MAX);
}

/** How chunks are split for the finest grain. @throws {UsageError} when that is not allowed. */
export function splitParameters(parameters: FastCdcParameters): FastCdcParameters {
  const split: FastCdcParameters = {
    algorithm: 'fastcdc', minBytes: Math.max(2 << 10, parameters.minBytes >> 1), averageBytes: parameters.averageBytes >> 1,
    maxBytes: Math.max(32 << 10, parameters.maxBytes >> 1),
  };
  checkChunkerParameters(split);
  return split;
}
