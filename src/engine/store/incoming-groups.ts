/**
 * Groups that clients cut, hashed and compressed. Each is decompressed here, and the id of each of its chunks is computed anew, before anything counts as
 * stored; then the group goes into a container as it was compressed. A group with a chunk that came in otherwise meanwhile is taken chunk by chunk.
 */
import { ID_BYTES, IntegrityError, PLACE_BYTES, ProtocolError, checkLimit, idToHex, type ChunkPlace, type IdBatch, type Limits, type PutCounts } from '../../core/index.ts';
import { TABLE_ROW_BYTES, type ContainerKind, type GroupCodec } from '../containers/container.layout.ts';
import { idsOfTable } from '../containers/group.ts';
import { BlockPool, type Arena, type Block } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { BuiltGroup } from './finish-group.ts';
import { GROUP_BYTES, GROUP_CHUNKS_MAX } from './group-builder.ts';
import { GroupCache } from './group-cache.ts';
import type { LocalStore } from './local-store.ts';
import { STORED_BYTES } from './local-store-parts.ts';

/** Groups under way at a time, of all clients. */
const GROUPS = 6;
/** Records being read for clients at a time. */
const READS = 4;
const TABLE_BYTES = GROUP_CHUNKS_MAX * TABLE_ROW_BYTES;

/** A group as it came. Views of the message: copied by {@link IncomingGroups.stage}. */
export interface IncomingGroup {
  readonly kind: ContainerKind;
  readonly codec: Exclude<GroupCodec, 'sealed'>;
  readonly count: number;
  /** Bytes of all chunks. */
  readonly rawLength: number;
  readonly table: Uint8Array;
  readonly payload: Uint8Array;
}

/** A group in blocks of the arena, verified by {@link IncomingGroups.verify} and taken or dropped exactly once. */
export interface StagedGroup extends BuiltGroup {
  readonly kind: ContainerKind;
  readonly codec: IncomingGroup['codec'];
  readonly storedLength: number;
  /** Has the payload, then the table. */
  readonly staged: Block;
  readonly ids: IdBatch;
}

/** What it works with; it owns none of it. */
export interface IncomingParts {
  readonly arena: Arena;
  readonly pool: WorkerPool;
  readonly limits: Limits;
  readonly store: LocalStore;
}

/** One for each repository that is served. */
export class IncomingGroups {
  readonly #parts: IncomingParts;
  readonly #staged: BlockPool;
  readonly #raw: BlockPool;
  readonly #reads: BlockPool;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#staged = new BlockPool(parts.arena, STORED_BYTES + TABLE_BYTES, GROUPS);
    this.#raw = new BlockPool(parts.arena, GROUP_BYTES, GROUPS);
    this.#reads = new BlockPool(parts.arena, GroupCache.recordBytesMax(parts.limits), READS);
  }

  /** Bytes of arena that one reserves; touched only as far as groups come. */
  static arenaBytes(limits: Limits): number {
    return (STORED_BYTES + TABLE_BYTES + GROUP_BYTES + 128) * GROUPS + (GroupCache.recordBytesMax(limits) + 64) * READS;
  }

  /** Copies a group into blocks, waiting until some are free. @throws {ProtocolError} @throws {LimitError} what it says about itself does not fit together. */
  async stage(group: IncomingGroup): Promise<StagedGroup> {
    checkGroup(group, this.#parts.limits);
    const staged = await this.#staged.acquire();
    const block = await this.#raw.acquire();
    staged.bytes.set(group.payload);
    const table = staged.bytes.subarray(STORED_BYTES, STORED_BYTES + group.table.length);
    table.set(group.table);
    const { kind, codec, count, rawLength, payload } = group;
    return { kind, codec, count, length: rawLength, storedLength: payload.length, staged, block, table, ids: { bytes: idsOfTable(table), count } };
  }

  /** Decompresses into the group's block and checks all ids. @throws {IntegrityError} then it has to be dropped. */
  async verify(group: StagedGroup): Promise<void> {
    const { staged, block, codec, storedLength, length, count } = group;
    const { damage, bad } = await this.#parts.pool.run({
      kind: 'decode', compressed: codec === 'zstd', payload: staged.offset, payloadLength: storedLength, target: block.offset, rawLength: length,
      table: staged.offset + STORED_BYTES, count,
    });
    if (damage !== undefined) throw new IntegrityError(`Put group: ${damage}`);
    const [first] = bad ?? [];
    if (first !== undefined) throw new IntegrityError(`Put group: chunk '${idToHex(group.ids.bytes.subarray(first * ID_BYTES, (first + 1) * ID_BYTES))}' has other bytes than its id says`);
  }

  /** Chunk after chunk of a verified group; views that are valid until it is taken or dropped. */
  *chunks({ table, block }: StagedGroup): Iterable<Uint8Array> {
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    let at = 0;
    for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) {
      const length = view.getUint32(row + ID_BYTES);
      yield block.bytes.subarray(at, at + length);
      at += length;
    }
  }

  /** Stores what is new of a verified group. It is under way when this resolves, durable after a flush. @throws as the store; the group is gone then, too. */
  async take(group: StagedGroup): Promise<PutCounts> {
    const counts = { chunks: group.count, chunksNew: 0, bytes: group.length, bytesNew: 0 };
    let isOurs = true;
    try {
      const known = await this.#parts.store.has(group.ids);
      if (known.every((byte) => byte === 0)) {
        const free = (target?: Block): void => { (target === undefined ? this.#raw : this.#staged).release(target ?? group.block); };
        const compressed = { target: group.staged, storedLength: group.codec === 'zstd' ? group.storedLength : 0 };
        isOurs = !(await this.#parts.store.adopt(group.kind, group, { compressed, free }));
        if (!isOurs) return { ...counts, chunksNew: group.count, bytesNew: group.length };
      }
      let i = 0;
      for (const bytes of this.chunks(group)) {
        const isKnown = ((known[i >> 3] as number) & (1 << (i & 7))) !== 0;
        if (!isKnown && await this.#parts.store.add(group.kind, group.ids.bytes, i * ID_BYTES, bytes)) {
          counts.chunksNew += 1;
          counts.bytesNew += bytes.length;
        }
        i += 1;
      }
      return counts;
    } finally {
      if (isOurs) this.drop(group);
    }
  }

  /** Gives the blocks of a group back that was not taken. */
  drop(group: StagedGroup): void {
    this.#staged.release(group.staged);
    this.#raw.release(group.block);
  }

  /** Runs `use` with room for one record. */
  async withRecord<T>(use: (target: Uint8Array) => Promise<T>): Promise<T> {
    const block = await this.#reads.acquire();
    try {
      return await use(block.bytes);
    } finally {
      this.#reads.release(block);
    }
  }
}

/** Where a record is that a client may ask for. @throws {LimitError} */
export function checkPlace(place: ChunkPlace, limits: Limits): ChunkPlace {
  checkLimit(limits, 'containerBytesMax', place.offset, 'place of a record');
  const most = GroupCache.recordBytesMax(limits);
  if (place.length > most) throw new ProtocolError(`Read record: a place of '${PLACE_BYTES}' bytes says that it has '${place.length}' bytes, the largest has '${most}'`);
  return place;
}

function checkGroup({ codec, count, rawLength, table, payload }: IncomingGroup, limits: Limits): void {
  const fail = (what: string): never => { throw new ProtocolError(`Put group: ${what}`); };
  if (count < 1 || count > GROUP_CHUNKS_MAX || table.length !== count * TABLE_ROW_BYTES) fail(`it has '${count}' chunks and a table of '${table.length}' bytes`);
  if (rawLength > GROUP_BYTES || payload.length > GROUP_BYTES) fail(`it has '${rawLength}' bytes in '${payload.length}', at most '${GROUP_BYTES}' are allowed`);
  if (codec === 'none' && payload.length !== rawLength) fail(`it is not compressed and has '${rawLength}' bytes in '${payload.length}'`);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  let total = 0;
  for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) {
    const length = view.getUint32(row + ID_BYTES);
    checkLimit(limits, 'chunkBytesMax', length, 'chunk of a group that is put');
    total += length;
  }
  if (total !== rawLength) fail(`its chunks have '${total}' bytes, its head says '${rawLength}'`);
}
