/**
 * Decoded groups. A group is read, decompressed and checked against the ids of all its chunks once; its neighbours' places
 * are remembered, so that a restore asks the index about once a group and not once a chunk.
 */
import { FormatError, ID_BYTES, IntegrityError, LimitError, PLACE_BYTES, encodePlace, type ChunkPlace, type Limits } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { numberOf } from '../containers/container.ts';
import { GROUP_HEADER_BYTES, decodeGroup, type GroupHead } from '../containers/group.ts';
import { sealedGroupBytesMax, type CipherKey } from '../crypto/index.ts';
import { BlockPool, type Arena, type Block } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { RecordSource } from './container-records.ts';
import type { PlaceCache } from './id-table.ts';

/** A group in memory; valid between `acquire` and `release`. */
export interface Group {
  readonly place: ChunkPlace;
  readonly block: Block;
  readonly count: number;
  /** 32 bytes per chunk. */
  readonly ids: Uint8Array;
  /** `count + 1` offsets of chunks in the block. */
  readonly offsets: Uint32Array;
  /** Ordinals of chunks whose bytes do not match their id. */
  readonly bad: ReadonlySet<number>;
}

interface Slot {
  pins: number;
  readonly group: Promise<Group>;
  /** Set once loaded: only then can its block be taken. */
  loaded: Group | undefined;
}

/** What the cache works with; it owns none of it. */
export interface GroupCacheParts {
  readonly records: RecordSource;
  readonly arena: Arena;
  readonly pool: WorkerPool;
  readonly limits: Limits;
  readonly places: PlaceCache;
}

export { MissingContainerError } from './container-records.ts';

/** Decoded groups kept; about 2 MiB each. */
const GROUPS_KEPT = 12;
/** Groups read or decoded at a time: what a read-ahead may have under way. */
const STAGING_BLOCKS = 4;

/** A bounded cache of decoded groups. */
export class GroupCache {
  readonly #parts: GroupCacheParts;
  readonly #blocks: BlockPool;
  readonly #staging: BlockPool;
  readonly #slots = new Map<string, Slot>();
  readonly #waiting: (() => void)[] = [];
  #loading = 0;

  constructor(parts: GroupCacheParts) {
    this.#parts = parts;
    this.#blocks = new BlockPool(parts.arena, parts.limits.groupBytesMax, GROUPS_KEPT);
    this.#staging = new BlockPool(parts.arena, GroupCache.recordBytesMax(parts.limits), STAGING_BLOCKS);
  }

  /** Bytes of arena that a cache reserves (touched only as far as groups are large). */
  static arenaBytes(limits: Limits): number {
    return limits.groupBytesMax * GROUPS_KEPT + (GroupCache.recordBytesMax(limits) + 64) * STAGING_BLOCKS;
  }

  /** Bytes of the largest record. */
  static recordBytesMax(limits: Limits): number {
    return GROUP_HEADER_BYTES + limits.groupChunksMax * TABLE_ROW_BYTES + sealedGroupBytesMax(limits.groupChunksMax, limits);
  }

  /** Pins the group at a place, reading it if need be. @throws {IntegrityError} @throws {NotFoundError} no such container. */
  async acquire(place: ChunkPlace): Promise<Group> {
    const slot = this.#slot(place);
    slot.pins += 1;
    return slot.group; // one that failed is out of the table already, its pins with it
  }

  release(group: Group): void {
    const slot = this.#slots.get(keyOf(group.place));
    if (slot === undefined) return;
    slot.pins -= 1;
    if (slot.pins === 0) this.#wake();
  }

  /** Starts reading a group unless too much is under way. Errors show when someone acquires it. @returns false: not now. */
  prefetch(place: ChunkPlace): boolean {
    if (this.#slots.has(keyOf(place))) return true;
    if (this.#loading >= GROUPS_KEPT / 2) return false;
    this.#slot(place).group.catch(() => undefined);
    return true;
  }

  /** Nothing that was read so far counts, places included: some of it was bad, or is something else now. Groups in use stay. */
  async forget(): Promise<void> {
    this.#parts.places.clear();
    for (const [key, slot] of this.#slots) {
      if (slot.pins > 0 || slot.loaded === undefined) continue;
      this.#slots.delete(key);
      this.#blocks.release(slot.loaded.block);
    }
    await this.close();
  }

  async close(): Promise<void> {
    await this.#parts.records.close();
  }

  #slot(place: ChunkPlace): Slot {
    const key = keyOf(place);
    const known = this.#slots.get(key);
    if (known !== undefined) {
      this.#slots.delete(key);
      this.#slots.set(key, known); // last in order: used last
      return known;
    }
    this.#loading += 1;
    const slot: Slot = { pins: 0, group: this.#load(place), loaded: undefined };
    slot.group.then((group) => { slot.loaded = group; }, () => { this.#slots.delete(key); }).finally(() => {
      this.#loading -= 1;
      this.#wake();
    });
    this.#slots.set(key, slot);
    return slot;
  }

  async #load(place: ChunkPlace): Promise<Group> {
    const block = await this.#takeBlock();
    try {
      return await this.#decode(place, block);
    } catch (error) {
      this.#blocks.release(block);
      this.#wake();
      throw error;
    }
  }

  /** A free block, or that of the group used longest ago; groups in use or under way stay, and we wait for one of them. */
  async #takeBlock(): Promise<Block> {
    for (;;) {
      const free = this.#blocks.tryAcquire();
      if (free !== undefined) return free;
      for (const [key, slot] of this.#slots) {
        if (slot.pins > 0 || slot.loaded === undefined) continue;
        this.#slots.delete(key);
        return slot.loaded.block;
      }
      await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
    }
  }

  #wake(): void {
    this.#waiting.shift()?.();
  }

  async #decode(place: ChunkPlace, block: Block): Promise<Group> {
    const number = numberOf(place.containerHigh, place.containerLow);
    const staging = await this.#staging.acquire();
    try {
      if (place.length > staging.bytes.length) throw new LimitError('groupBytesMax', place.length, staging.bytes.length, `container '${number.text}' at ${place.offset}`);
      const { length, key } = await this.#parts.records.read(place, staging.bytes);
      const record = decodeGroup(staging.bytes.subarray(0, length), { containerLow: place.containerLow, offset: place.offset }, this.#parts.limits);
      const bad = await this.#verify({ head: record.head, key }, staging, block, place);
      return this.#remember(place, block, record.table, new Set(bad));
    } catch (error) {
      if (error instanceof RangeError || error instanceof FormatError) {
        throw new IntegrityError(`Read group of container '${number.text}' at ${place.offset}: ${error.message}`, { container: number.text, offset: place.offset }, error);
      }
      throw error;
    } finally {
      this.#staging.release(staging);
    }
  }

  /** Also fills in the lengths of a sealed group's table, in the staging block. */
  async #verify({ head, key }: { readonly head: GroupHead; readonly key: CipherKey | undefined }, staging: Block, block: Block, place: ChunkPlace): Promise<readonly number[]> {
    const isSealed = head.codec === 'sealed';
    if (isSealed !== (key !== undefined)) {
      const where = `Read group of container '${numberOf(place.containerHigh, place.containerLow).text}' at ${place.offset}`;
      throw new IntegrityError(`${where}: it is ${isSealed ? 'sealed, and the repository is not encrypted' : 'not sealed, and the repository is encrypted'}`);
    }
    const result = await this.#parts.pool.run({
      kind: 'decode', compressed: head.codec === 'zstd',
      payload: staging.offset + head.recordLength - head.storedLength, payloadLength: head.storedLength,
      target: block.offset, rawLength: isSealed ? block.bytes.length : head.rawLength, table: staging.offset + GROUP_HEADER_BYTES, count: head.count,
      ...(key === undefined ? {} : { sealed: { key: { cipher: key.cipher, subkey: key.key, sequence: head.sequence }, limits: this.#parts.limits } }),
    });
    if (result.damage !== undefined) {
      const number = numberOf(place.containerHigh, place.containerLow);
      throw new IntegrityError(`Read group of container '${number.text}' at ${place.offset}: ${result.damage}`, { container: number.text, offset: place.offset });
    }
    return result.bad ?? [];
  }

  #remember(place: ChunkPlace, block: Block, table: Uint8Array, bad: ReadonlySet<number>): Group {
    const count = table.length / TABLE_ROW_BYTES;
    const ids = new Uint8Array(count * ID_BYTES);
    const offsets = new Uint32Array(count + 1);
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    const encoded = new Uint8Array(PLACE_BYTES);
    for (let i = 0; i < count; i += 1) {
      ids.set(table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
      offsets[i + 1] = (offsets[i] as number) + view.getUint32(i * TABLE_ROW_BYTES + ID_BYTES);
      if (bad.has(i)) continue; // the index may know a better one
      encodePlace(encoded, 0, { ...place, ordinal: i });
      this.#parts.places.put(ids, i * ID_BYTES, encoded, 0);
    }
    return { place, block, count, ids, offsets, bad };
  }
}

function keyOf(place: ChunkPlace): string {
  return `${place.containerHigh}:${place.containerLow}:${place.offset}`;
}

