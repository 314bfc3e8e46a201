/** A source with parts replaced in memory: what a log says that was not written to its place yet. */
import { checkRange, type BlockSource, type Extent, type ReadOptions } from '../../core/index.ts';

/** Bytes that replace those at `offset`; without `bytes`, zeroes. */
export interface Patch {
  readonly offset: number;
  readonly length: number;
  readonly bytes?: Uint8Array;
}

/** Index of the first patch that ends behind `offset`; patches don't overlap and are in order. */
function firstBehind(patches: readonly Patch[], offset: number): number {
  let low = 0;
  let high = patches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offset: start, length } = patches[middle] as Patch;
    if (start + length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function piece(patch: Patch, start: number, end: number): Patch {
  const { bytes } = patch;
  return { offset: start, length: end - start, ...(bytes === undefined ? {} : { bytes: bytes.subarray(start - patch.offset, end - patch.offset) }) };
}

/** Those of later patches win. @returns patches in order that don't overlap. */
function settlePatches(patches: readonly Patch[]): readonly Patch[] {
  const settled: Patch[] = [];
  for (const patch of patches.toReversed()) {
    const end = patch.offset + patch.length;
    const parts: Patch[] = [];
    const first = firstBehind(settled, patch.offset);
    let index = first;
    for (let at = patch.offset; at < end;) {
      const next = settled[index];
      const stop = next === undefined ? end : Math.min(end, next.offset);
      if (stop > at) parts.push(piece(patch, at, stop));
      if (next === undefined || next.offset >= end) break;
      parts.push(next);
      at = next.offset + next.length;
      index += 1;
    }
    settled.splice(first, index - first, ...parts);
  }
  return settled;
}

/** The patched source; it owns `inner`, and may be longer: zeroes follow it. */
export class PatchedSource implements BlockSource {
  readonly size: number;
  readonly sectorSize: number;
  readonly #inner: BlockSource;
  readonly #patches: readonly Patch[];

  /** `patches` in the order in which they were written. */
  constructor(inner: BlockSource, patches: readonly Patch[], size: number) {
    this.#inner = inner;
    this.#patches = settlePatches(patches);
    this.size = size;
    this.sectorSize = inner.sectorSize;
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, 'patched source');
    const end = offset + target.length;
    const inside = Math.max(0, Math.min(target.length, this.#inner.size - offset));
    if (inside > 0) await this.#inner.readInto(offset, target.subarray(0, inside), options);
    target.fill(0, inside);
    for (let i = firstBehind(this.#patches, offset); i < this.#patches.length; i += 1) {
      const patch = this.#patches[i] as Patch;
      if (patch.offset >= end) break;
      const part = piece(patch, Math.max(patch.offset, offset), Math.min(patch.offset + patch.length, end));
      if (part.bytes === undefined) target.fill(0, part.offset - offset, part.offset - offset + part.length);
      else target.set(part.bytes, part.offset - offset);
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'patched source extents');
    const end = offset + length;
    let index = firstBehind(this.#patches, offset);
    for (let at = offset; at < end;) {
      const patch = this.#patches[index];
      const start = patch === undefined ? end : Math.min(end, patch.offset);
      if (start > at) {
        const inside = Math.max(at, Math.min(start, this.#inner.size));
        if (inside > at) yield* this.#inner.extents(at, inside - at);
        if (inside < start) yield { offset: inside, length: start - inside, kind: 'hole' };
      }
      if (patch === undefined || patch.offset >= end) break;
      const from = Math.max(at, patch.offset);
      at = Math.min(end, patch.offset + patch.length);
      yield { offset: from, length: at - from, kind: patch.bytes === undefined ? 'zero' : 'data' };
      index += 1;
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
