/** Logical volumes as sources: each segment is a map onto disks of the group or onto other logical volumes. */
import { type BlockSource, FormatError, HoldfastError, type Limits, LimitError, NotFoundError, UnsupportedError } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { StripedMap } from '../md/striped.ts';
import { joined, type Piece } from '../parts.ts';
import { SECTOR } from './lvm.layout.ts';
import type { TextSection } from './metadata-text.ts';
import { type RaidImage, raidMap } from './raid.ts';
import { snapshotMap } from './snapshot.ts';
import { openThinPool, type ThinPool } from './thin-pool.ts';
import type { LogicalVolume, Segment, VolumeGroup } from './volume-group.ts';

/** LVM stacks a handful of volumes; a text may name them in a circle. */
const STACK_MAX = 32;
/** Volumes opened for one group, with repetitions: a mirror goes on where an image fails, so that a circle of mirrors would try 2^32 ways. */
const OPENS_MAX = 20_000;

/** What the volumes of a group are opened with. */
export interface GroupParts {
  readonly group: VolumeGroup;
  /** By the name in the group's text; those that were not given are absent. */
  readonly disks: ReadonlyMap<string, BlockSource>;
  readonly sectorSize: number;
  readonly limits: Limits;
  /** Tells people about the state of a pool. */
  readonly remark: (text: string) => void;
}

/** The openers of one group. Sources that it opens own nothing, and are shared. */
export class LogicalVolumes {
  readonly #parts: GroupParts;
  readonly #open = new Map<string, Promise<BlockSource>>();
  readonly #pools = new Map<string, Promise<ThinPool>>();
  readonly #snapshots: readonly Segment[];
  /** Thin snapshots that are to be merged into their origin. */
  readonly #merging: readonly LogicalVolume[];
  #opens = 0;

  constructor(parts: GroupParts) {
    this.#parts = parts;
    const volumes = [...parts.group.volumes.values()];
    this.#snapshots = volumes.flatMap(({ segments }) => segments.filter(({ type }) => type === 'snapshot'));
    this.#merging = volumes.filter(({ segments }) => segments.some(({ type, text }) => type === 'thin' && text.values.has('merge')));
  }

  /** What a person sees of a volume: a snapshot shows its content, not its store. @throws {UnsupportedError} @throws {NotFoundError} @throws {FormatError} @throws {IntegrityError} */
  openVisible(name: string): Promise<BlockSource> {
    const snapshot = this.snapshotWith(name);
    if (snapshot !== undefined) return this.#openSnapshot(snapshot, snapshot.text.has('cow_store', name) ? 'cow_store' : 'merging_store');
    // An origin that a snapshot is being merged into looks like the snapshot already.
    const merging = this.#snapshots.find(({ text }) => text.values.has('merging_store') && text.has('origin', name));
    return merging === undefined ? this.#openBare(this.mergedInto(name)?.name ?? name, 0) : this.#openSnapshot(merging, 'merging_store');
  }

  /** The thin snapshot that takes the place of a volume when that is activated next: people asked for what it holds. */
  mergedInto(origin: string): LogicalVolume | undefined {
    return this.#merging.find(({ segments }) => segments.some(({ type, text }) => type === 'thin' && text.has('merge', origin)));
  }

  /** The segment that makes a store a snapshot of the older kind. */
  snapshotWith(store: string): Segment | undefined {
    return this.#snapshots.find(({ text }) => text.has('cow_store', store) || text.has('merging_store', store));
  }

  async #openSnapshot(segment: Segment, key: 'cow_store' | 'merging_store'): Promise<BlockSource> {
    const origin = await this.#openBare(segment.text.text('origin'), 0);
    const store = await this.#openBare(segment.text.text(key), 0);
    const size = segment.extents * this.#parts.group.extentBytes;
    return this.#mapped(Math.min(size, origin.size), await snapshotMap(origin, store, this.#parts.limits), 'snapshot');
  }

  #mapped(size: number, map: BlockMap, what: string, parent?: BlockSource): BlockSource {
    return new MappedSource(size, this.#parts.sectorSize, { what, map, owned: [], place: { structure: 'LVM metadata', field: what }, ...(parent === undefined ? {} : { parent }) });
  }

  /** A volume by name, hidden ones too. */
  #openBare(name: string, depth: number): Promise<BlockSource> {
    if (depth > STACK_MAX) return Promise.reject(new LimitError('stacked logical volumes', depth, STACK_MAX, `LVM metadata of '${name}'`));
    const known = this.#open.get(name);
    // A circle would wait for itself: only what is ready is shared.
    if (known !== undefined) return known;
    this.#opens += 1;
    if (this.#opens > OPENS_MAX) return Promise.reject(new LimitError('opened logical volumes', this.#opens, OPENS_MAX, `LVM metadata of '${name}'`));
    const opening = this.#openVolume(name, depth);
    opening.then((source) => this.#open.set(name, Promise.resolve(source)), () => undefined);
    return opening;
  }

  async #openVolume(name: string, depth: number): Promise<BlockSource> {
    const volume = this.#parts.group.volumes.get(name);
    if (volume === undefined) throw new FormatError('Open logical volume', { structure: 'LVM metadata', field: 'logical_volumes', found: 'nothing', expected: name });
    const pieces: Piece[] = [];
    for (const segment of volume.segments) pieces.push(await this.#pieceOf(volume, segment, depth));
    return joined(pieces, this.#parts.sectorSize, `logical volume '${name}'`);
  }

  async #pieceOf(volume: LogicalVolume, segment: Segment, depth: number): Promise<Piece> {
    const { extentBytes } = this.#parts.group;
    const { type, text } = segment;
    const length = segment.extents * extentBytes;
    switch (type) {
      case 'striped': case 'linear': return this.#striped(text, length, depth);
      case 'zero': return { at: 0, length };
      case 'mirror': {
        const images = await this.#attempts(pairsOf(text, 'mirrors').slice(0, volume.moving ? 1 : undefined), length, depth);
        // Only a mirror's first copy has all of it at any time; which parts of the others do is written where the kernel alone looks.
        if (images.length > 1 && images[0]?.data instanceof HoldfastError) this.#parts.remark(`mirror '${volume.name}': its first copy is missing, and another one is read, which has old bytes where it was not yet in step`);
        return { file: this.#mapped(length, await raidMap(images, { type, stripeBytes: 0, size: length, copies: 0, spareBytes: 0 }), type), at: 0, length };
      }
      case 'thin': return { file: await this.#thin(text, length, depth), at: 0, length };
      case 'cache': return { file: await this.#cacheOrigin(text, depth), at: 0, length };
      case 'error': throw new NotFoundError(`Open logical volume '${volume.name}': a part of it is lost, its extents were replaced by errors`);
      default:
        if (type.startsWith('raid')) return { file: await this.#raid(text, type, length, depth), at: 0, length };
        throw new UnsupportedError(`Open logical volume '${volume.name}': segments of type '${type}' are not read`, { segmentType: type });
    }
  }

  /** One area: a place on a disk or in another volume. @throws {NotFoundError} the disk was not given. */
  async #area(name: string, extent: number, length: number, depth: number): Promise<Piece> {
    const { group, disks } = this.#parts;
    const disk = group.disks.get(name);
    if (disk === undefined) {
      const file = await this.#openBare(name, depth + 1);
      return { file, at: extent * group.extentBytes, length };
    }
    const file = disks.get(name);
    if (file === undefined) throw new NotFoundError(`Open logical volume: physical volume '${name}' (${disk.uuid}) ${disk.stale ? 'was away when the group was changed' : 'was not given'}`, { disk: disk.uuid });
    const at = disk.start + extent * group.extentBytes;
    if (at + length > file.size) throw new FormatError('Open logical volume', { structure: 'LVM metadata', field: `extents of '${name}'`, found: at + length, expected: `at most ${file.size}: the disk ends there` });
    return { file, at, length };
  }

  async #striped(text: TextSection, length: number, depth: number): Promise<Piece> {
    const areas = pairsOf(text, 'stripes');
    const part = length / areas.length;
    const pieces: Piece[] = [];
    for (const { name, extent } of areas) pieces.push(await this.#area(name, extent, part, depth));
    const [only] = pieces;
    if (only === undefined) throw new FormatError('Open logical volume', { structure: text.path, field: 'stripes', found: 0, expected: 'at least 1' });
    if (pieces.length === 1) return only;
    const map = new StripedMap(pieces.map(({ file, at }) => ({ file: file as BlockSource, at, length: part })), text.count('stripe_size') * SECTOR);
    if (map.size !== length) throw new FormatError('Open logical volume', { structure: text.path, field: 'stripe_size', found: text.count('stripe_size'), expected: `stripes that fill ${length} bytes` });
    return { file: this.#mapped(length, map, 'striped volume'), at: 0, length };
  }

  /** Images of a mirror; those that cannot be opened as their errors. */
  async #attempts(areas: readonly NamedArea[], length: number, depth: number): Promise<readonly RaidImage[]> {
    const images: RaidImage[] = [];
    for (const { name, extent } of areas) {
      images.push({ data: await settle(this.#area(name, extent, length, depth).then((piece) => joined([piece], this.#parts.sectorSize, 'mirror image'))), metadata: undefined });
    }
    return images;
  }

  async #raid(text: TextSection, type: string, length: number, depth: number): Promise<BlockSource> {
    const names = text.list(text.values.has('raid0_lvs') ? 'raid0_lvs' : 'raids').map(String);
    const count = text.count(text.values.has('device_count') ? 'device_count' : 'stripe_count');
    const pairs = names.length === count * 2;
    const images: RaidImage[] = [];
    for (let i = 0; i < count; i += 1) {
      const name = names[pairs ? i * 2 + 1 : i];
      if (name === undefined) throw new FormatError('Open logical volume', { structure: text.path, field: 'raids', found: names.length, expected: `${count} images` });
      images.push({
        data: await settle(this.#openBare(name, depth + 1)),
        metadata: pairs && type !== 'raid0_meta' ? await settle(this.#openBare(names[i * 2] as string, depth + 1)) : undefined,
      });
    }
    const shape = { type, stripeBytes: text.count('stripe_size', 0) * SECTOR, size: length, copies: text.count('data_copies', 2), spareBytes: text.count('reshape_count', 0) * this.#parts.group.extentBytes };
    return this.#mapped(length, await raidMap(images, shape), `${type} volume`);
  }

  async #thin(text: TextSection, length: number, depth: number): Promise<BlockSource> {
    const poolName = text.text('thin_pool');
    const pool = this.#pools.get(poolName) ?? this.#openPool(poolName, depth + 1);
    this.#pools.set(poolName, pool);
    pool.catch(() => this.#pools.delete(poolName));
    const map = await (await pool).device(text.count('device_id'));
    const parent = text.values.has('external_origin') ? await this.#openBare(text.text('external_origin'), depth + 1) : undefined;
    return this.#mapped(length, map, 'thin volume', parent);
  }

  async #openPool(name: string, depth: number): Promise<ThinPool> {
    const { group, limits, remark } = this.#parts;
    const segment = group.volumes.get(name)?.segments[0];
    if (segment?.type !== 'thin-pool') throw new FormatError('Open thin volume', { structure: 'LVM metadata', field: 'thin_pool', found: segment?.type ?? 'nothing', expected: `a pool '${name}'` });
    const { text } = segment;
    const pool = await openThinPool(await this.#openBare(text.text('metadata'), depth + 1), await this.#openBare(text.text('pool'), depth + 1), limits);
    const { transactionId, needsCheck, chunkBytes } = pool.facts;
    if (chunkBytes !== text.count('chunk_size') * SECTOR) throw new FormatError('Open thin pool', { structure: 'thin pool superblock', field: 'data_block_size', found: chunkBytes, expected: text.count('chunk_size') * SECTOR });
    if (needsCheck) remark(`thin pool '${name}' is marked as in need of a check`);
    if (transactionId !== text.count('transaction_id', 0)) remark(`thin pool '${name}' is at transaction '${transactionId}', LVM at '${text.count('transaction_id', 0)}'`);
    return pool;
  }

  /** The volume behind a cache, when the cache never has newer bytes. @throws {UnsupportedError} */
  async #cacheOrigin(text: TextSection, depth: number): Promise<BlockSource> {
    const pool = this.#parts.group.volumes.get(text.text('cache_pool'))?.segments[0]?.text;
    const mode = text.values.get('cache_mode') ?? pool?.values.get('cache_mode');
    if (mode !== 'writethrough' && mode !== 'passthrough') throw new UnsupportedError(`Open logical volume: it is cached in mode '${String(mode ?? 'unknown')}', and the cache may hold newer bytes than the origin`, { segmentType: 'cache' });
    return this.#openBare(text.text('origin'), depth + 1);
  }
}

interface NamedArea {
  readonly name: string;
  readonly extent: number;
}

/** Pairs of name and extent. @throws {FormatError} */
function pairsOf(text: TextSection, key: string): readonly NamedArea[] {
  const items = text.list(key);
  const pairs: NamedArea[] = [];
  for (let i = 0; i < items.length; i += 2) {
    const [name, extent] = [items[i], items[i + 1]];
    if (typeof name !== 'string' || typeof extent !== 'number' || !Number.isSafeInteger(extent) || extent < 0) {
      throw new FormatError('Read LVM metadata', { structure: text.path, field: key, found: `${String(name)}, ${String(extent)}`, expected: 'a name and an extent' });
    }
    pairs.push({ name, extent });
  }
  return pairs;
}

/** What was opened, or why not: a mirror can do without. */
async function settle(opening: Promise<BlockSource>): Promise<BlockSource | HoldfastError> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof HoldfastError) return error;
    throw error;
  }
}
