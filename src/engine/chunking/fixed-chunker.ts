/** Aligned blocks of one size: a changed sector of a disk image changes one chunk, and nothing has to be hashed to find it. */
import type { Chunker } from './chunker.ts';
import { checkChunkerParameters, type FixedParameters } from './parameters.ts';

/** Cuts every `blockBytes`; needs no access to the data. */
export class FixedChunker implements Chunker {
  readonly maxBytes: number;
  readonly implementation = 'fixed';

  /** @throws {UsageError} when the block size is not allowed. */
  constructor(parameters: FixedParameters) {
    checkChunkerParameters(parameters);
    this.maxBytes = parameters.blockBytes;
  }

  cuts(_offset: number, length: number, final: boolean, out: Uint32Array): number {
    let count = 0;
    let end = 0;
    while (count < out.length && end < length) {
      end = Math.min(end + this.maxBytes, length);
      if (end % this.maxBytes !== 0 && !final) break;
      out[count] = end;
      count += 1;
    }
    return count;
  }
}
