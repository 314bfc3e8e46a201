/** A snapshot of a volume as people see it: one file, byte for byte as the storage daemon wrote it. */
import { NotFoundError, equalBytes, utf8, type BlockSource, type DirectoryEntry, type FileTree, type NodeId, type NodeStat, type TreeSupports } from '../../core/index.ts';
import type { SnapshotInfo } from '../../engine/index.ts';
import { volumeSnapshot } from './repository.ts';
import { StoredVolume } from './stored-volume.ts';

const ROOT = 0 as NodeId;
const VOLUME = 1 as NodeId;

/** Owns the volume. */
class VolumeFileTree implements FileTree {
  readonly format = 'holdfast volume';
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 1e6, sorted: true };
  readonly rootId: NodeId = ROOT;
  readonly #volume: StoredVolume;

  constructor(volume: StoredVolume) {
    this.#volume = volume;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    if (directory !== ROOT) throw new NotFoundError(`Look up a name in node '${directory}': it is no directory`);
    return equalBytes(name, utf8(this.#volume.facts.name)) ? VOLUME : undefined;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    const { modified: time, size } = this.#volume.facts;
    const modified = { seconds: Math.floor(time / 1000), nanoseconds: (time % 1000) * 1e6 };
    if (id === ROOT) return { type: 'directory', size: 0, mode: 0o700, uid: 0, gid: 0, modified, links: 1, placeholder: true };
    this.#check(id);
    return { type: 'file', size, mode: 0o640, uid: 0, gid: 0, modified, links: 1 };
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    if (directory !== ROOT) throw new NotFoundError(`List node '${directory}': it is no directory`);
    yield [{ name: utf8(this.#volume.facts.name), id: VOLUME, stat: await this.stat(VOLUME) }];
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    this.#check(id);
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of a volume: it has none`);
    const volume = this.#volume;
    return {
      size: volume.size, sectorSize: volume.sectorSize, readInto: (offset, target, options) => volume.readInto(offset, target, options),
      extents: (offset, length) => volume.extents(offset, length), close: async () => undefined,
    };
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    throw new NotFoundError(`Read link '${id}': a volume is none`);
  }

  async attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return new Map();
  }

  close(): Promise<void> {
    return this.#volume.close();
  }

  #check(id: NodeId): void {
    if (id !== VOLUME) throw new NotFoundError(`Open node '${id}': it is no file`);
  }
}

/** The files of a snapshot; those of a volume's snapshot are one, the volume. @throws what opening it throws. */
export async function showSnapshot(repository: { openSnapshot(id: string): Promise<FileTree> }, info: Pick<SnapshotInfo, 'id' | 'host' | 'sources' | 'tags'>): Promise<FileTree> {
  const tree = await repository.openSnapshot(info.id);
  const volume = volumeSnapshot(info);
  return volume === undefined || volume.isRemoved ? tree : new VolumeFileTree(await StoredVolume.open(tree, info.id));
}
