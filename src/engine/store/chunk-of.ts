/** Single chunks of decoded groups. */
import { ID_BYTES, IntegrityError, idToHex } from '../../core/index.ts';
import { REF_BYTES } from '../snapshots/refs.ts';
import type { Group } from './group-cache.ts';

/** A chunk as a page of references names it, and the length that the page says. */
export interface ChunkWish {
  readonly refs: Uint8Array;
  readonly index: number;
  readonly length: number;
}

/** Where one chunk of a pinned group begins in its block; -1 when the group has another chunk there or its bytes are wrong. @throws {IntegrityError} it is of another length. */
export function findStart(group: Group, ordinal: number, wish: ChunkWish): number {
  const at = wish.index * REF_BYTES;
  let i = 0;
  if (ordinal < group.count) while (i < ID_BYTES && group.ids[ordinal * ID_BYTES + i] === wish.refs[at + i]) i += 1;
  if (i < ID_BYTES || group.bad.has(ordinal)) return -1;
  const start = group.offsets[ordinal] as number;
  const length = (group.offsets[ordinal + 1] as number) - start;
  if (length !== wish.length) throw new IntegrityError(`Read chunk '${idToHex(wish.refs.subarray(at, at + ID_BYTES))}': it has '${length}' bytes, the recipe says '${wish.length}'`);
  return start;
}

/**
 * As {@link findStart}, and says what is wrong.
 * @throws {IntegrityError} when the group has another chunk there, one of another length, or its bytes are wrong.
 */
export function startOfChunk(group: Group, ordinal: number, wish: ChunkWish): number {
  const start = findStart(group, ordinal, wish);
  if (start < 0) chunkOf(group, ordinal, wish.refs.subarray(wish.index * REF_BYTES, wish.index * REF_BYTES + ID_BYTES));
  return start;
}

/**
 * The bytes of one chunk of a pinned group.
 * @throws {IntegrityError} when the group has another chunk there or its bytes are wrong.
 */
export function chunkOf(group: Group, ordinal: number, id: Uint8Array): Uint8Array {
  const text = (): string => idToHex(id);
  if (ordinal >= group.count || Buffer.compare(group.ids.subarray(ordinal * ID_BYTES, (ordinal + 1) * ID_BYTES), id) !== 0) {
    throw new IntegrityError(`Read chunk '${text()}': the index names a place that holds another chunk; rebuild the index`, { chunk: text() });
  }
  if (group.bad.has(ordinal)) {
    throw new IntegrityError(`Read chunk '${text()}': its stored bytes are damaged`, { chunk: text(), offset: group.place.offset });
  }
  return group.block.bytes.subarray(group.offsets[ordinal], group.offsets[ordinal + 1]);
}
