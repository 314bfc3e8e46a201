/**
 * Chunks behind a daemon: cut and hashed here, asked for by id, and what is missing goes there in groups that were compressed here. The server checks every
 * id; readers check every id again. Reads go by group, as from containers of this host.
 *
 * Metadata is sent after the data that it refers to: the server takes no page that refers to what it does not have.
 */
import assert from 'node:assert';
import {
  AbortedError, ID_BYTES, IntegrityError, LimitError, PLACE_BYTES, ProtocolError, UsageError, idAt, idToHex, type ChunkStore, type IdBatch, type Limits, type PutCounts,
} from '../../core/index.ts';
import type { ContainerKind } from '../containers/container.layout.ts';
import { tableOf } from '../containers/group.ts';
import { createHasher, type HashName } from '../hashing/hasher.ts';
import { MissingContainerError } from '../store/container-records.ts';
import type { IngestStore, StoreTotals } from '../store/content-store.ts';
import { compressGroup, type Compressed } from '../store/finish-group.ts';
import { isDamage } from '../store/detours.ts';
import { GROUP_BYTES, GroupBuilder } from '../store/group-builder.ts';
import { GroupCache, type Group } from '../store/group-cache.ts';
import { IdSet } from '../store/id-table.ts';
import { PlacedChunks } from '../store/placed-chunks.ts';
import { BlockPool, type Arena, type Block } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { WireClient } from './client.ts';
import { IDS_MAX, putAnswer, putCodecs, putHead, putKinds } from './message.layout.ts';
import { PageCache } from './page-cache.ts';
import { RemoteRecords } from './remote-records.ts';

/** Groups that are filled or compressed. */
const RAW_BLOCKS = 5;
/** Groups that were compressed and are on their way: enough to go on while the daemon verifies others. */
const STORED_BLOCKS = 6;
/** Metadata that is asked for at once. */
const OFFERS_MAX = 256;
const OFFERED_BYTES_MAX = 1 << 20;
/** Ids remembered as stored, twice; 72 bytes each. */
const KNOWN_MAX = 32_768;

/** What a store works with; it owns none of it. */
export interface RemoteStoreParts {
  readonly client: WireClient;
  readonly arena: Arena;
  readonly pool: WorkerPool;
  readonly limits: Limits;
  readonly hash: HashName;
  readonly idKey?: Uint8Array;
  /** zstd level; 0 sends as is. */
  readonly level: number;
  /** Where pages of directories are kept that would be fetched again. */
  readonly pages?: PageCache;
}

/** When a group may be sent. */
interface SendOrder {
  readonly compressed: Promise<Compressed>;
  /** Resolves when the one before it was handed over. */
  readonly before: Promise<void>;
  handedOver(): void;
}

/** The `ChunkStore` behind a daemon. Writing needs a session of the client. */
export class RemoteStore extends PlacedChunks implements ChunkStore, IngestStore {
  readonly answersLate = true;
  readonly totals: StoreTotals = { chunks: { data: 0, metadata: 0 }, rawBytes: { data: 0, metadata: 0 }, storedBytes: { data: 0, metadata: 0 }, containers: 0 };
  readonly groups: GroupCache;
  readonly #parts: RemoteStoreParts;
  readonly #rawBlocks: BlockPool;
  readonly #storedBlocks: BlockPool;
  readonly #builders: (GroupBuilder | undefined)[] = [];
  readonly #filling: Record<ContainerKind, GroupBuilder | undefined> = { data: undefined, metadata: undefined };
  readonly #sending = new Set<Promise<void>>();
  readonly #intact = new WeakMap<Group, Promise<Uint8Array>>();
  readonly #chunkBytesMax: number;
  /** Ids that were added here or that the server knew; the older ones go first, all at once. */
  #known = new IdSet(4096);
  #knownBefore = new IdSet(16);
  /** Groups are handed over in the order in which they were filled. */
  #sent: Promise<void> = Promise.resolve();
  #adding: Promise<void> = Promise.resolve();
  /** Metadata that is not asked for yet. */
  #offered: { readonly id: Uint8Array; readonly bytes: Uint8Array }[] = [];
  #offeredBytes = 0;
  #offering: Promise<void> = Promise.resolve();
  /** Of the session; later calls of it throw it, too. */
  #failure: unknown;
  #isClosed = false;

  constructor(parts: RemoteStoreParts) {
    super();
    this.#parts = parts;
    this.#chunkBytesMax = Math.min(parts.limits.chunkBytesMax, GROUP_BYTES);
    this.#rawBlocks = new BlockPool(parts.arena, GROUP_BYTES, RAW_BLOCKS);
    this.#storedBlocks = new BlockPool(parts.arena, GROUP_BYTES, STORED_BLOCKS);
    this.groups = new GroupCache({ ...parts, records: new RemoteRecords(parts.client, parts.pages), places: this.places });
  }

  /** Bytes of arena that a store reserves. */
  static arenaBytes(limits: Limits): number {
    return (GROUP_BYTES + 64) * (RAW_BLOCKS + STORED_BLOCKS) + GroupCache.arenaBytes(limits) + 65_536;
  }

  expectWork(bytes: number): void {
    this.#parts.pool.expect(bytes);
  }

  async has(ids: IdBatch): Promise<Uint8Array> {
    this.#assertAlive();
    const bitmap = new Uint8Array((ids.count + 7) >> 3);
    const asked = new Uint8Array(ids.count * ID_BYTES);
    const positions: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      if (this.#isKnown(ids.bytes, i * ID_BYTES)) {
        bitmap[i >> 3] = (bitmap[i >> 3] as number) | 1 << (i & 7);
      } else {
        asked.set(idAt(ids, i), positions.length * ID_BYTES);
        positions.push(i);
      }
    }
    for (let start = 0; start < positions.length; start += IDS_MAX) {
      const count = Math.min(IDS_MAX, positions.length - start);
      const found = await this.#parts.client.request('has', [asked.subarray(start * ID_BYTES, (start + count) * ID_BYTES)], (body) => {
        if (body.length !== (count + 7) >> 3) throw new ProtocolError(`Ask for '${count}' chunks: the answer has '${body.length}' bytes`);
        return body.slice();
      });
      for (let i = 0; i < count; i += 1) {
        if (((found[i >> 3] as number) & (1 << (i & 7))) === 0) continue;
        const position = positions[start + i] as number;
        bitmap[position >> 3] = (bitmap[position >> 3] as number) | 1 << (position & 7);
        this.#remember(ids.bytes, position * ID_BYTES);
      }
    }
    return bitmap;
  }

  add(kind: ContainerKind, ids: Uint8Array, offset: number, data: Uint8Array): boolean | Promise<boolean> {
    this.#assertAlive();
    assert(data.length <= this.#chunkBytesMax, 'a chunk can be read again');
    if (this.#isKnown(ids, offset)) return false;
    const builder = this.#filling[kind];
    if (builder?.hasRoom(data.length) !== true) return this.#addSlowly(kind, ids.slice(offset, offset + ID_BYTES), data);
    this.#push(builder, kind, { ids, offset, data });
    return true;
  }

  /** Asked for many at a time: a question for each page of a tree would wait as often for an answer. */
  offer(id: Uint8Array, bytes: Uint8Array): Promise<void> | undefined {
    this.#assertAlive();
    if (this.#isKnown(id, 0)) return undefined;
    this.#offered.push({ id, bytes: bytes.slice() });
    this.#offeredBytes += bytes.length;
    if (this.#offered.length < OFFERS_MAX && this.#offeredBytes < OFFERED_BYTES_MAX) return undefined;
    const before = this.#offering;
    this.#addOffered();
    return before; // one batch is asked for while the next is filled
  }

  async put(ids: IdBatch, payloads: readonly Uint8Array[]): Promise<PutCounts> {
    assert(payloads.length === ids.count, 'one payload for each id');
    for (const payload of payloads) {
      if (payload.length > this.#chunkBytesMax) throw new LimitError('chunkBytesMax', payload.length, this.#chunkBytesMax, 'chunk to be put');
    }
    const hasher = await createHasher(this.#parts.hash, this.#parts.idKey);
    const id = new Uint8Array(ID_BYTES);
    payloads.forEach((payload, i) => {
      hasher.digestInto(payload, id, 0);
      if (Buffer.compare(id, idAt(ids, i)) !== 0) throw new IntegrityError(`Put chunk: its bytes have id '${idToHex(id)}', not '${idToHex(idAt(ids, i))}'`);
    });
    const known = await this.has(ids);
    const counts = { chunks: ids.count, chunksNew: 0, bytes: 0, bytesNew: 0 };
    for (const [i, payload] of payloads.entries()) {
      counts.bytes += payload.length;
      if (((known[i >> 3] as number) & (1 << (i & 7))) !== 0 || !(await this.add('data', ids.bytes, i * ID_BYTES, payload))) continue;
      counts.chunksNew += 1;
      counts.bytesNew += payload.length;
    }
    return counts;
  }

  protected async find(ids: IdBatch): Promise<Uint8Array> {
    const places = new Uint8Array(ids.count * PLACE_BYTES);
    const missing = await this.#parts.pages?.find(ids, places) ?? Array.from({ length: ids.count }, (_, i) => i);
    for (let start = 0; start < missing.length; start += IDS_MAX) {
      const positions = missing.slice(start, start + IDS_MAX);
      const asked = new Uint8Array(positions.length * ID_BYTES);
      positions.forEach((position, i) => { asked.set(idAt(ids, position), i * ID_BYTES); });
      await this.#parts.client.request('locate', [asked], (body) => {
        if (body.length !== positions.length * PLACE_BYTES) throw new ProtocolError(`Ask for places of '${positions.length}' chunks: the answer has '${body.length}' bytes`);
        positions.forEach((position, i) => { places.set(body.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), position * PLACE_BYTES); });
      });
    }
    return places;
  }

  /** What was kept here and is bad is at the daemon, what a collector moved is at another place; of what is damaged the daemon is asked for another copy. */
  async isElsewhere(error: unknown, { bytes, count }: IdBatch): Promise<boolean> {
    const wasKept = await this.#parts.pages?.forget(bytes.subarray(0, ID_BYTES)) === true;
    if (!wasKept && !(error instanceof MissingContainerError)) {
      if (!isDamage(error)) return false;
      const ids = bytes.slice(0, Math.min(count, IDS_MAX) * ID_BYTES);
      const isThere = await this.#parts.client.request('elsewhere', [ids], (body) => {
        if (body.length !== 1) throw new ProtocolError(`Ask for another copy: the answer has '${body.length}' bytes`);
        return body[0] === 1;
      });
      if (!isThere) return false;
    }
    this.places.clear();
    return true;
  }

  /** Asked once for each group of pages: the neighbours' answers come with it. */
  async isPageIntact(id: Uint8Array): Promise<boolean> {
    const { group, ordinal } = await this.acquire(id);
    try {
      let answers = this.#intact.get(group);
      if (answers === undefined) {
        answers = this.#askIntact(group);
        this.#intact.set(group, answers);
      }
      return (await answers)[ordinal] === 1;
    } finally {
      this.groups.release(group);
    }
  }

  /** What the server finds intact is also stored, and need not be asked for. A group that was fetched is kept: the next backup needs it, too. */
  async #askIntact(group: Group): Promise<Uint8Array> {
    const answers = new Uint8Array(group.count);
    for (let start = 0; start < group.count; start += IDS_MAX) {
      const count = Math.min(IDS_MAX, group.count - start);
      await this.#parts.client.request('intact', [group.ids.subarray(start * ID_BYTES, (start + count) * ID_BYTES)], (body) => {
        if (body.length !== count) throw new ProtocolError(`Ask for '${count}' pages: the answer has '${body.length}' bytes`);
        answers.set(body, start);
      });
    }
    answers.forEach((answer, i) => { if (answer === 1) this.#remember(group.ids, i * ID_BYTES); });
    if (!PageCache.holds(group.place)) await this.#keep(group);
    return answers;
  }

  async #keep({ block, ids, offsets, count, bad }: Group): Promise<void> {
    const { pages, pool, level } = this.#parts;
    if (pages === undefined || bad.size > 0) return;
    const length = offsets[count] as number;
    const { target, storedLength } = await compressGroup(pool, this.#storedBlocks, { block, length }, level);
    try {
      const payload = storedLength > 0 ? target.bytes.subarray(0, storedLength) : block.bytes.subarray(0, length);
      await pages.add({ codec: storedLength > 0 ? 'zstd' : 'none', table: tableOf(ids, offsets), count, rawLength: length, payload });
    } finally {
      this.#storedBlocks.release(target);
    }
  }

  /** After it resolves, the server has verified and taken all chunks added before. They are not durable yet: a commit or a flush makes them so. */
  async settle(): Promise<void> {
    this.#assertAlive();
    this.#addOffered();
    await this.#offering;
    await this.#adding;
    this.#assertAlive();
    for (const kind of putKinds) if (this.#filling[kind] !== undefined) this.#submit(kind);
    await this.#sent;
    await Promise.all(this.#sending);
    this.#assertAlive();
  }

  async flush(): Promise<void> {
    await this.settle();
    await this.#parts.client.request('flush', [], () => undefined);
  }

  /** A session began: what the last one knew may be gone, and its failure is not this one's. */
  async startSession(): Promise<void> {
    if (this.#failure !== undefined) await this.endSession();
    this.#forgetKnown();
  }

  /** A session ended without a commit: what is not sent yet is dropped, what is being sent is waited for, and the next session begins with nothing of it. */
  async endSession(): Promise<void> {
    this.#fail(new AbortedError()); // whoever waits for a block or for the group before it gives up
    this.#offered = [];
    this.#offeredBytes = 0;
    await this.#offering;
    await this.#adding;
    for (const kind of putKinds) {
      const builder = this.#filling[kind];
      if (builder !== undefined) this.#rawBlocks.release(builder.block);
      this.#filling[kind] = undefined;
    }
    await Promise.all(this.#sending);
    this.#forgetKnown();
    if (!this.#isClosed) this.#failure = undefined;
  }

  /** Ends reading. What is on its way is not waited for. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#fail(new UsageError('Use a store: it was closed'));
    await Promise.allSettled(this.#sending);
    await this.groups.close();
  }

  /** Asks for what was offered, and adds what is missing, behind what was offered before. */
  #addOffered(): void {
    const pages = this.#offered;
    if (pages.length === 0) return;
    this.#offered = [];
    this.#offeredBytes = 0;
    const ids = new Uint8Array(pages.length * ID_BYTES);
    pages.forEach(({ id }, i) => { ids.set(id, i * ID_BYTES); });
    const before = this.#offering;
    const add = async (): Promise<void> => {
      const known = await this.has({ bytes: ids, count: pages.length });
      await before;
      for (const [i, { bytes }] of pages.entries()) if (((known[i >> 3] as number) & (1 << (i & 7))) === 0) await this.add('metadata', ids, i * ID_BYTES, bytes);
    };
    this.#offering = add().catch((error: unknown) => { this.#fail(error); });
  }

  /** One at a time: a second caller must not start another group while the first waits for a block. */
  #addSlowly(kind: ContainerKind, id: Uint8Array, data: Uint8Array): Promise<boolean> {
    const added = this.#adding.then(async () => {
      if (this.#isKnown(id, 0)) return false;
      if (this.#filling[kind]?.hasRoom(data.length) === false) this.#submit(kind);
      const builder = this.#filling[kind] ??= this.#builderOf(await this.#rawBlocks.acquire());
      this.#assertAlive(); // its block goes back at the session's end
      this.#push(builder, kind, { ids: id, offset: 0, data });
      return true;
    });
    this.#adding = added.then(() => undefined, () => undefined);
    return added;
  }

  #builderOf(block: Block): GroupBuilder {
    const builder = this.#builders[block.index] ?? new GroupBuilder(block);
    this.#builders[block.index] = builder;
    builder.clear();
    return builder;
  }

  #push(builder: GroupBuilder, kind: ContainerKind, { ids, offset, data }: { ids: Uint8Array; offset: number; data: Uint8Array }): void {
    this.#remember(ids, offset);
    builder.push(ids, offset, data);
    this.totals.chunks[kind] += 1;
    this.totals.rawBytes[kind] += data.length;
  }

  #submit(kind: ContainerKind): void {
    // What metadata refers to goes first.
    if (kind === 'metadata' && this.#filling.data !== undefined) this.#submit('data');
    const builder = this.#filling[kind];
    assert(builder !== undefined && builder.count > 0, 'only a group with chunks is submitted');
    this.#filling[kind] = undefined;
    const before = this.#sent;
    const compressed = compressGroup(this.#parts.pool, this.#storedBlocks, builder, this.#parts.level);
    compressed.catch(() => undefined); // reported by the task below
    let handedOver = (): void => undefined;
    this.#sent = new Promise((resolve) => { handedOver = resolve; });
    const task = this.#send(kind, builder, { compressed, before, handedOver }).catch((error: unknown) => { this.#fail(error); }).finally(handedOver);
    this.#sending.add(task);
    void task.finally(() => { this.#sending.delete(task); });
  }

  /** The block that is not sent is free for other groups as soon as that is known. */
  async #send(kind: ContainerKind, builder: GroupBuilder, order: SendOrder): Promise<void> {
    const { block, length, count } = builder;
    const table = builder.table.slice();
    const { target, storedLength } = await order.compressed.catch((error: unknown) => {
      this.#rawBlocks.release(block);
      throw error;
    });
    const pays = storedLength > 0;
    if (pays) this.#rawBlocks.release(block);
    else this.#storedBlocks.release(target);
    try {
      await order.before;
      this.#assertAlive();
      const payload = pays ? target.bytes.subarray(0, storedLength) : block.bytes.subarray(0, length);
      const codec = pays ? 'zstd' : 'none';
      const head = putHead.encode({ kind: putKinds.indexOf(kind), codec: putCodecs.indexOf(codec), zero: 0, count, rawLength: length, storedLength: payload.length });
      const answered = this.#parts.client.request('put', [head, table, payload], (body) => putAnswer.view(body).chunksNew);
      order.handedOver();
      await answered;
      this.totals.storedBytes[kind] += head.length + table.length + payload.length;
      if (kind === 'metadata') await this.#parts.pages?.add({ codec, table, count, rawLength: length, payload });
    } finally {
      if (pays) this.#storedBlocks.release(target);
      else this.#rawBlocks.release(block);
    }
  }

  #isKnown(ids: Uint8Array, offset: number): boolean {
    return this.#known.has(ids, offset) || this.#knownBefore.has(ids, offset);
  }

  #remember(ids: Uint8Array, offset: number): void {
    if (this.#known.count >= KNOWN_MAX) {
      [this.#known, this.#knownBefore] = [this.#knownBefore, this.#known];
      this.#known.clear();
    }
    this.#known.add(ids, offset);
  }

  #forgetKnown(): void {
    this.#known.clear();
    this.#knownBefore.clear();
  }

  #assertAlive(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }
}
