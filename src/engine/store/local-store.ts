/**
 * Chunks in local containers: the write half of the engine.
 *
 * Order of durability (the only one): groups are appended to a container → the container is sealed and synced, name and all →
 * its ids enter the index together with its watermark → `flush` resolves → only then may a manifest refer to the chunks.
 * An index entry therefore never points at bytes that a crash could take.
 */
import assert from 'node:assert';
import {
  ID_BYTES, IntegrityError, LimitError, NotFoundError, PLACE_BYTES, idAt, idToHex,
  type ChunkStore, type IdBatch, type Limits, type PutCounts,
} from '../../core/index.ts';
import type { ContainerWriter } from '../containers/container-writer.ts';
import { TABLE_ROW_BYTES, type ContainerKind } from '../containers/container.layout.ts';
import type { NumberSet } from '../containers/number-set.ts';
import type { FilterMetrics } from '../filter/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { BlockPool, type Block } from '../workers/arena.ts';
import { IndexAheadError } from './catch-up.ts';
import { ContainerEntries } from './container-entries.ts';
import { ContainerRecords, MissingContainerError } from './container-records.ts';
import type { IngestStore, StoreTotals } from './content-store.ts';
import { Detours } from './detours.ts';
import { compressGroup, createContainer, finishGroup, type BuiltGroup, type Compressed } from './finish-group.ts';
import { GROUP_BYTES, GroupBuilder } from './group-builder.ts';
import { GroupCache } from './group-cache.ts';
import { IdSet } from './id-table.ts';
import { STORED_BYTES, type LocalStoreParts, type Output } from './local-store-parts.ts';
import { PlacedChunks } from './placed-chunks.ts';
import { searchContainers } from './search.ts';

/** Stored bytes at which a container is sealed. */
const CONTAINER_BYTES = 32 << 20;
/** New chunks after which the set of chunks under way is renewed, 72 bytes each; chunks of a container, 32 bytes each until it is indexed. */
const UNDER_WAY_MAX = 32_768;
/** Containers being synced at once. */
const SEALING_MAX = 2;
/** Ids that enter the index at once. */
const INDEX_BATCH = 4_096;
const GROUP_BLOCKS = 3;

/** The local `ChunkStore`. One writer at a time; reads may overlap with everything. */
export class LocalStore extends PlacedChunks implements ChunkStore, IngestStore {
  readonly totals: StoreTotals = {
    chunks: { data: 0, metadata: 0 }, rawBytes: { data: 0, metadata: 0 }, storedBytes: { data: 0, metadata: 0 }, containers: 0,
  };
  readonly groups: GroupCache;
  readonly #parts: LocalStoreParts;
  readonly #rawBlocks: BlockPool;
  readonly #storedBlocks: BlockPool;
  readonly #outputs: Record<ContainerKind, Output>;
  readonly #sealing = new Set<Promise<void>>();
  readonly #chunkBytesMax: number;
  readonly #detours: Detours;
  readonly #maybe = new Uint8Array(1);
  readonly #builders: (GroupBuilder | undefined)[] = [];
  readonly #spareEntries: ContainerEntries[] = [];
  #underWay = new IdSet(4096);
  #underWayBefore = new IdSet(16);
  #barrier: Promise<void> = Promise.resolve();
  #adding: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(parts: LocalStoreParts) {
    super();
    this.#parts = parts;
    this.#chunkBytesMax = Math.min(parts.limits.chunkBytesMax, GROUP_BYTES);
    this.#rawBlocks = new BlockPool(parts.arena, GROUP_BYTES, GROUP_BLOCKS);
    this.#storedBlocks = new BlockPool(parts.arena, STORED_BYTES, GROUP_BLOCKS);
    this.groups = new GroupCache({ ...parts, records: new ContainerRecords(parts.objects, parts.vault), places: this.places });
    this.#detours = new Detours({ ...parts, groups: this.groups, note: (text) => { parts.note?.(text); } });
    const output = (): Output => ({ builder: undefined, writer: undefined, entries: new ContainerEntries(), tail: Promise.resolve() });
    this.#outputs = { data: output(), metadata: output() };
  }

  /** Bytes of arena that a store reserves. */
  static arenaBytes(limits: Limits): number {
    return (GROUP_BYTES + STORED_BYTES + 64) * GROUP_BLOCKS + GroupCache.arenaBytes(limits) + 65_536;
  }

  /** What the filter did since it was opened, and whether it is complete. */
  get filterState(): FilterMetrics & { readonly isBuilding: boolean } {
    const { filter } = this.#parts;
    return { ...filter.metrics, isBuilding: filter.isBuilding };
  }

  /** Tells of `bytes` that will be read or written, so that threads are there in time. */
  expectWork(bytes: number): void {
    this.#parts.pool.expect(bytes);
  }

  /** False when the chunk is surely not stored; true proves nothing. */
  mayKnow(id: Uint8Array): boolean {
    this.#maybe[0] = 0;
    this.#parts.filter.mayHave({ bytes: id, count: 1 }, this.#maybe);
    return this.#maybe[0] !== 0 || this.#isUnderWay(id, 0);
  }

  async has(ids: IdBatch): Promise<Uint8Array> {
    this.#assertAlive();
    const bitmap = new Uint8Array((ids.count + 7) >> 3);
    this.#parts.filter.mayHave(ids, bitmap);
    const asked = new Uint8Array(ids.count * ID_BYTES);
    const positions: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      const bit = 1 << (i & 7);
      const maybe = ((bitmap[i >> 3] as number) & bit) !== 0;
      if (this.#isUnderWay(ids.bytes, i * ID_BYTES)) bitmap[i >> 3] = (bitmap[i >> 3] as number) | bit;
      else if (maybe) {
        asked.set(idAt(ids, i), positions.length * ID_BYTES);
        positions.push(i);
      }
    }
    if (positions.length > 0) await this.#confirm({ bytes: asked, count: positions.length }, positions, bitmap);
    return bitmap;
  }

  /** Replaces the filter's maybes by the index's word. */
  async #confirm(asked: IdBatch, positions: readonly number[], bitmap: Uint8Array): Promise<void> {
    const places = new Uint8Array(asked.count * PLACE_BYTES);
    const found = await this.#parts.index.getMany(asked, places);
    const view = new DataView(places.buffer);
    const { dead } = this.#parts.catchUp;
    positions.forEach((position, i) => {
      const isFound = ((found[i >> 3] as number) & (1 << (i & 7))) !== 0;
      // What a collector is about to remove is stored again.
      if (isFound && !dead.has(view.getUint32(i * PLACE_BYTES), view.getUint32(i * PLACE_BYTES + 4))) return;
      bitmap[position >> 3] = (bitmap[position >> 3] as number) & ~(1 << (position & 7));
      if (!isFound) this.#parts.filter.noteFalsePositive(asked.bytes, i * ID_BYTES);
    });
  }

  /**
   * Stores one chunk that `has` did not know; its id must be right, and `data` is copied before this returns or resolves.
   * @returns false when the chunk is already under way.
   */
  add(kind: ContainerKind, ids: Uint8Array, offset: number, data: Uint8Array): boolean | Promise<boolean> {
    this.#assertAlive();
    assert(data.length <= this.#chunkBytesMax, 'a chunk can be read again');
    if (this.#isUnderWay(ids, offset)) return false;
    const builder = this.#outputs[kind].builder;
    if (builder === undefined || !builder.hasRoom(data.length) || this.#underWay.count >= UNDER_WAY_MAX) {
      return this.#addSlowly(kind, ids.slice(offset, offset + ID_BYTES), data);
    }
    this.#push(kind, ids, offset, data);
    return true;
  }

  /** One at a time: a second caller must not start another group while the first waits for a block. */
  #addSlowly(kind: ContainerKind, id: Uint8Array, data: Uint8Array): Promise<boolean> {
    const added = this.#adding.then(() => this.#addOne(kind, id, data));
    this.#adding = added.then(() => undefined, () => undefined);
    return added;
  }

  async #addOne(kind: ContainerKind, id: Uint8Array, data: Uint8Array): Promise<boolean> {
    if (this.#isUnderWay(id, 0)) return false;
    const output = this.#outputs[kind];
    if (this.#underWay.count >= UNDER_WAY_MAX) await this.#renewUnderWay();
    if (output.builder?.hasRoom(data.length) === false) this.#submit(kind);
    output.builder ??= this.#builderOf(await this.#rawBlocks.acquire());
    this.#assertAlive();
    this.#push(kind, id, 0, data);
    return true;
  }

  /** A block has one builder, so that tables are not thrown away with each group. */
  #builderOf(block: Block): GroupBuilder {
    const builder = this.#builders[block.index] ?? new GroupBuilder(block);
    this.#builders[block.index] = builder;
    builder.clear();
    return builder;
  }

  #push(kind: ContainerKind, ids: Uint8Array, offset: number, data: Uint8Array): void {
    const { builder } = this.#outputs[kind];
    assert(builder !== undefined, 'a group is open');
    this.#underWay.add(ids, offset);
    builder.push(ids, offset, data);
    this.totals.chunks[kind] += 1;
    this.totals.rawBytes[kind] += data.length;
  }

  async put(ids: IdBatch, payloads: readonly Uint8Array[]): Promise<PutCounts> {
    assert(payloads.length === ids.count, 'one payload for each id');
    for (const payload of payloads) {
      if (payload.length > this.#chunkBytesMax) throw new LimitError('chunkBytesMax', payload.length, this.#chunkBytesMax, 'chunk to be put');
    }
    const hasher = await createHasher(this.#parts.hash, this.#parts.vault?.idKey);
    const id = new Uint8Array(ID_BYTES);
    for (let i = 0; i < ids.count; i += 1) {
      hasher.digestInto(payloads[i] as Uint8Array, id, 0);
      if (Buffer.compare(id, idAt(ids, i)) !== 0) {
        throw new IntegrityError(`Put chunk: its bytes have id '${idToHex(id)}', not '${idToHex(idAt(ids, i))}'`);
      }
    }
    const known = await this.has(ids);
    const counts = { chunks: ids.count, chunksNew: 0, bytes: 0, bytesNew: 0 };
    for (let i = 0; i < ids.count; i += 1) {
      const payload = payloads[i] as Uint8Array;
      counts.bytes += payload.length;
      if (((known[i >> 3] as number) & (1 << (i & 7))) !== 0 || !(await this.add('data', ids.bytes, i * ID_BYTES, payload))) continue;
      counts.chunksNew += 1;
      counts.bytesNew += payload.length;
    }
    return counts;
  }

  /** Looks for chunks that the index lacks in all containers, or some, and enters those that can be read. @returns those. */
  search(ids: IdBatch, within?: NumberSet): Promise<IdSet> {
    return searchContainers({ ...this.#parts, groups: this.groups, ...(within === undefined ? {} : { within }) }, ids);
  }

  protected async find(ids: IdBatch): Promise<Uint8Array> {
    const places = new Uint8Array(ids.count * PLACE_BYTES);
    let found = await this.#ask(ids, places);
    if (!isFull(found, ids.count)) {
      await this.#parts.catchUp.run();
      found = await this.#ask(ids, places);
    }
    if (!isFull(found, ids.count)) {
      await this.search(ids);
      found = await this.#ask(ids, places);
    }
    for (let i = 0; i < ids.count; i += 1) {
      if (((found[i >> 3] as number) & (1 << (i & 7))) !== 0) continue;
      const chunk = idToHex(idAt(ids, i));
      throw new NotFoundError(`Find chunk '${chunk}': the index does not have it`, { chunk });
    }
    return places;
  }

  /** The index's word; what it places in containers that collectors removed is unknown. */
  async #ask(ids: IdBatch, places: Uint8Array): Promise<Uint8Array> {
    const found = await this.#parts.index.getMany(ids, places);
    const { gone } = this.#parts.catchUp;
    if (gone.size === 0) return found;
    const view = new DataView(places.buffer, places.byteOffset);
    return found.map((bits, byte) => {
      let kept = bits;
      for (let bit = 0; bit < 8; bit += 1) {
        const at = (byte * 8 + bit) * PLACE_BYTES;
        if ((bits & (1 << bit)) !== 0 && gone.has(view.getUint32(at), view.getUint32(at + 4))) kept &= ~(1 << bit);
      }
      return kept;
    });
  }

  /**
   * Whether chunks are elsewhere than where a read has just failed, which was to give the first of `ids`: a collector moved them, or there are other copies.
   * Then places have to be asked for again.
   */
  async isElsewhere(error: unknown, ids: IdBatch): Promise<boolean> {
    if (await this.hasMoved(error)) return true;
    if (!(await this.#detours.find(error, ids))) return false;
    this.places.clear();
    return true;
  }

  /** Whether a read failed because a collector removed the container; then places are known anew. */
  async hasMoved(error: unknown): Promise<boolean> {
    if (!(error instanceof MissingContainerError)) return false;
    const { catchUp } = this.#parts;
    try {
      await catchUp.run();
    } catch (failure) {
      if (!(failure instanceof IndexAheadError)) throw failure; // it is lost: then a copy may be left
    }
    this.places.clear();
    return catchUp.gone.has(error.number.high, error.number.low);
  }

  /** After it resolves, all chunks added before are durable and indexed. Others may add chunks meanwhile: those stay under way. */
  async flush(): Promise<void> {
    this.#assertAlive();
    await this.#renewUnderWay();
    const settling = this.#underWayBefore;
    await this.#barrier;
    this.#assertAlive();
    if (this.#underWayBefore === settling) settling.clear();
  }

  /** Ends the store. Chunks that were not flushed are lost, as after a crash. */
  async close(): Promise<void> {
    for (const output of Object.values(this.#outputs)) {
      await output.tail.catch(() => undefined);
      await output.writer?.abandon();
    }
    await Promise.allSettled(this.#sealing);
    try {
      await this.groups.close();
      await this.#parts.filter.close(this.#failure === undefined);
    } finally {
      await this.#parts.index.close().finally(() => this.#parts.pool.close()); // a full disk must not leave threads or locks behind
    }
  }

  #isUnderWay(ids: Uint8Array, offset: number): boolean {
    return this.#underWay.has(ids, offset) || this.#underWayBefore.has(ids, offset);
  }

  #assertAlive(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** The older set may be forgotten once all its chunks are indexed; the younger takes its place. */
  async #renewUnderWay(): Promise<void> {
    // Who waits beside us may have renewed it already: two who do so after one wait would forget chunks that are not indexed.
    for (let settled: Promise<void> | undefined; settled !== this.#barrier;) {
      settled = this.#barrier;
      await settled;
    }
    this.#assertAlive();
    this.#barrier = this.#settle();
    this.#barrier.catch(() => undefined);
    [this.#underWay, this.#underWayBefore] = [this.#underWayBefore, this.#underWay];
    this.#underWay.clear();
  }

  /** Brings everything added so far into sealed, indexed containers. */
  async #settle(): Promise<void> {
    for (const kind of ['data', 'metadata'] as const) {
      if (this.#outputs[kind].builder !== undefined) this.#submit(kind);
    }
    await Promise.all(Object.values(this.#outputs).map(async (output) => {
      const sealed = output.tail.then(() => { this.#assertAlive(); this.#startSeal(output); });
      output.tail = sealed.catch((error: unknown) => { this.#fail(error); });
      await sealed;
    }));
    await Promise.all(this.#sealing);
    this.#assertAlive();
  }

  /** Sends the current group off: compression may overtake, appending keeps the order. */
  #submit(kind: ContainerKind): void {
    const output = this.#outputs[kind];
    const builder = output.builder;
    assert(builder !== undefined && builder.count > 0, 'only a group with chunks is submitted');
    output.builder = undefined;
    const compressed = compressGroup(this.#parts.pool, this.#storedBlocks, builder, this.#parts.level);
    compressed.catch((error: unknown) => { this.#fail(error); });
    const { block } = builder;
    this.#enqueue(kind, builder, { compressed, free: (target) => { (target === undefined ? this.#rawBlocks : this.#storedBlocks).release(target ?? block); } });
  }

  /** Appends a group behind those submitted before; `free` is called for its target, and at the end without one. */
  #enqueue(kind: ContainerKind, group: BuiltGroup, { compressed, free }: { compressed: Compressed | Promise<Compressed>; free(target?: Block): void }): void {
    const output = this.#outputs[kind];
    output.tail = output.tail.then(async () => {
      try {
        const { target, storedLength } = await compressed;
        try {
          this.#assertAlive();
          await this.#append(kind, group, { target, storedLength });
        } finally {
          free(target);
        }
      } catch (error) {
        this.#fail(error);
      } finally {
        free();
      }
    });
  }

  /**
   * Takes a whole group as a client compressed it, whose bytes were verified and of which `has` knew nothing.
   * @returns false when a chunk of it is under way by now: then nothing was taken. Else `free` is called as for the groups of this store.
   */
  adopt(kind: ContainerKind, group: BuiltGroup, parts: { readonly compressed: Compressed; free(target?: Block): void }): Promise<boolean> {
    const adopted = this.#adding.then(async () => {
      if (this.#underWay.count + group.count > UNDER_WAY_MAX) await this.#renewUnderWay();
      this.#assertAlive();
      for (let row = 0; row < group.table.length; row += TABLE_ROW_BYTES) if (this.#isUnderWay(group.table, row)) return false;
      for (let row = 0; row < group.table.length; row += TABLE_ROW_BYTES) this.#underWay.add(group.table, row);
      this.totals.chunks[kind] += group.count;
      this.totals.rawBytes[kind] += group.length;
      this.#enqueue(kind, group, parts);
      return true;
    });
    this.#adding = adopted.then(() => undefined, () => undefined);
    return adopted;
  }

  async #append(kind: ContainerKind, builder: BuiltGroup, compressed: Compressed): Promise<void> {
    const output = this.#outputs[kind];
    output.writer ??= await createContainer(this.#parts, kind);
    const row = await output.writer.append(await finishGroup(this.#parts.pool, output.writer, builder, compressed));
    this.totals.storedBytes[kind] += row.length;
    const { high, low } = output.writer.number;
    output.entries.add(builder.table, { containerHigh: high, containerLow: low, offset: row.offset, length: row.length, ordinal: 0 });
    if (output.writer.size >= (this.#parts.containerBytes ?? CONTAINER_BYTES) || output.writer.chunks >= UNDER_WAY_MAX) {
      if (this.#sealing.size >= SEALING_MAX) await Promise.race(this.#sealing);
      this.#startSeal(output);
    }
  }

  /** Seals the open container in the background, then indexes it. */
  #startSeal(output: Output): void {
    const { writer, entries } = output;
    if (writer === undefined) return;
    output.writer = undefined;
    output.entries = this.#spareEntries.pop() ?? new ContainerEntries();
    const task = this.#seal(writer, entries).catch((error: unknown) => {
      this.#fail(error);
      throw error;
    });
    const tracked = task.finally(() => { this.#sealing.delete(tracked); });
    tracked.catch(() => undefined);
    this.#sealing.add(tracked);
  }

  async #seal(writer: ContainerWriter, entries: ContainerEntries): Promise<void> {
    await writer.seal();
    this.totals.containers += 1;
    const { ids } = entries;
    // In parts, because a batch costs the native index an object per id; the watermark comes with the last.
    for (let start = 0; start < ids.count || start === 0; start += INDEX_BATCH) {
      const count = Math.min(INDEX_BATCH, ids.count - start);
      const last = start + count === ids.count;
      await this.#parts.index.putMany(
        { bytes: ids.bytes.subarray(start * ID_BYTES), count }, entries.places(start, start + count),
        last ? [{ container: writer.number.text, offset: writer.size, sealed: true }] : [],
      );
    }
    await this.#parts.filter.add(ids, writer.number.text, writer.size);
    entries.clear();
    this.#spareEntries.push(entries);
  }
}

/** Whether all of `count` bits are set. */
function isFull(bitmap: Uint8Array, count: number): boolean {
  return bitmap.every((byte, i) => byte === (1 << Math.min(8, count - i * 8)) - 1);
}
