/**
 * A ZFS volume (a block device in a pool) as a tree with one file, `volume`, of the volume's size.
 * Source: OpenZFS `module/zfs/zvol.c` (objects of a volume).
 */
import { type BlockSource, type DirectoryEntry, equalBytes, FormatError, type NodeId, type NodeStat, NotFoundError, type TreeSupports, UnsupportedError, utf8 } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { type Patch, PatchedSource } from '../../mapping/patched-source.ts';
import type { LogRecord } from './intent-log.ts';
import { wordValue } from './log-overlay.ts';
import { LogReplay } from './log-replay.ts';
import { ZfsObject } from './object.ts';
import type { ObjectSet } from './object-set.ts';
import { Zap } from './zap.ts';

const DATA_OBJECT = 1;
const PROPERTIES_OBJECT = 2;
const NAME = utf8('volume');

/** The tree of one volume. */
export class VolumeTree {
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 1_000_000_000, sorted: true };
  readonly rootId: NodeId;
  readonly #file: NodeId;
  readonly #objects: ObjectSet;
  readonly #size: number;
  #patches: readonly Patch[] = [];

  private constructor(objects: ObjectSet, base: number, size: number) {
    this.#objects = objects;
    this.rootId = base + PROPERTIES_OBJECT as NodeId;
    this.#file = base + DATA_OBJECT as NodeId;
    this.#size = size;
  }

  /** `base`: what its ids are counted from; `log`: records that are not in the volume yet. @throws {FormatError} @throws {IntegrityError} */
  static async open(objects: ObjectSet, base: number, log: readonly LogRecord[]): Promise<VolumeTree> {
    const size = await (await Zap.open(await objects.object(PROPERTIES_OBJECT))).required('size');
    const data = await objects.dnode(DATA_OBJECT);
    if (size % 512 !== 0) throw new FormatError('Open ZFS volume', { structure: 'zvol properties', field: 'size', found: size, expected: 'a multiple of 512' });
    if (data.blockBytes === 0) throw new FormatError('Open ZFS volume', { structure: 'dnode_phys', field: 'dn_datablkszsec', found: 0, expected: 'at least 1' });
    const tree = new VolumeTree(objects, base, size);
    const replay = new LogReplay({ supply: objects.supply, values: async () => new Map([['ZPL_SIZE', wordValue(size)]]), entry: async () => undefined });
    for (const record of log) await replay.apply(record);
    tree.#patches = replay.overlay.files.get(DATA_OBJECT)?.patches.filter(({ offset, length }) => offset + length <= size) ?? [];
    return tree;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    this.#checkDirectory(directory);
    return equalBytes(name, NAME) ? this.#file : undefined;
  }

  #checkDirectory(directory: NodeId): void {
    if (directory !== this.rootId) throw new NotFoundError(`List ZFS volume: '${directory}' is no directory`);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id !== this.rootId && id !== this.#file) throw new NotFoundError(`Read ZFS volume: there is no inode '${id}'`);
    const owner = { uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1, placeholder: true } as const;
    return id === this.rootId ? { type: 'directory', size: 0, mode: 0o500, ...owner } : { type: 'file', size: this.#size, mode: 0o400, ...owner };
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    this.#checkDirectory(directory);
    yield [{ name: NAME, id: this.#file }];
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (id !== this.#file || stream !== undefined) throw new UnsupportedError('Open ZFS volume: only its one file has content');
    const map = new ZfsObject(this.#objects.supply, await this.#objects.dnode(DATA_OBJECT), 'data');
    const stored = new MappedSource(this.#size, 512, { what: 'ZFS volume', map, owned: [], place: { structure: 'blkptr', field: 'dva' } });
    return this.#patches.length === 0 ? stored : new PatchedSource(stored, this.#patches, this.#size);
  }

  async readLink(): Promise<Uint8Array> {
    throw new UnsupportedError('Read ZFS volume: it has no symbolic links');
  }

  async attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return new Map();
  }
}
