/**
 * Looks up one name by the hash of its bytes: the index is at the end of a block that is the whole directory, in one leaf, or in the
 * leaves of a tree. Source: "XFS Algorithms & Data Structures", "Directories", "Directory B+trees".
 */
import { equalBytes, FormatError, type Limits } from '../../../core/index.ts';
import { namesEnd, type StoredName, type XfsDirectory } from './directory.ts';
import type { MetadataReader, Wanted } from './metadata.ts';
import { DIRECTORY_LEAF_BYTES, FAMILY, MAGIC } from './xfs.layout.ts';

const ENTRY_BYTES = 8;
const HEADER = { old: 16, v5: 64 } as const;
/** Leaves whose first and last hash are equal: no kernel lets one hash fill more than this. */
const SAME_HASH_LEAVES_MAX = 4096;

/** The hash of a name, an unsigned 32-bit number. */
export function hashOfName(name: Uint8Array): number {
  let hash = 0;
  let i = 0;
  for (; i + 4 <= name.length; i += 4) {
    hash = ((name[i] as number) << 21) ^ ((name[i + 1] as number) << 14) ^ ((name[i + 2] as number) << 7) ^ (name[i + 3] as number) ^ ((hash << 28) | (hash >>> 4));
  }
  switch (name.length - i) {
    case 3: hash = ((name[i] as number) << 14) ^ ((name[i + 1] as number) << 7) ^ (name[i + 2] as number) ^ ((hash << 21) | (hash >>> 11)); break;
    case 2: hash = ((name[i] as number) << 7) ^ (name[i + 1] as number) ^ ((hash << 14) | (hash >>> 18)); break;
    case 1: hash = (name[i] as number) ^ ((hash << 7) | (hash >>> 25)); break;
    default: break;
  }
  return hash >>> 0;
}

/** Hash and value pairs in order of hash. */
interface Entries {
  readonly view: DataView;
  readonly at: number;
  readonly count: number;
}

function hashAt({ view, at }: Entries, i: number): number {
  return view.getUint32(at + i * ENTRY_BYTES);
}

function valueAt({ view, at }: Entries, i: number): number {
  return view.getUint32(at + i * ENTRY_BYTES + 4);
}

/** The first entry whose hash is not less. */
function firstFrom(entries: Entries, hash: number): number {
  let low = 0;
  let high = entries.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashAt(entries, middle) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Finds names in one directory that is not in its inode. */
export class DirectoryIndex {
  readonly #directory: XfsDirectory;
  readonly #metadata: MetadataReader;
  readonly #depthMax: number;

  constructor(directory: XfsDirectory, metadata: MetadataReader, limits: Limits) {
    this.#directory = directory;
    this.#metadata = metadata;
    this.#depthMax = limits.filesystemDepthMax;
  }

  /** Undefined when the index does not have the name. @throws {FormatError} @throws {IntegrityError} when the index is damaged. */
  async find(name: Uint8Array): Promise<StoredName | undefined> {
    const hash = hashOfName(name);
    const { directoryBytes, blockBytes } = this.#metadata.geometry.facts;
    const index = await this.#directory.find(DIRECTORY_LEAF_BYTES / blockBytes);
    if (index.block === undefined) {
      if (this.#directory.inode.size !== directoryBytes) throw this.#fault('di_size', this.#directory.inode.size, `${directoryBytes}, as there is no index`);
      const view = await this.#directory.dataBlock(0);
      const end = namesEnd(view);
      return (await this.#among({ view, at: end, count: (view.byteLength - 8 - end) / ENTRY_BYTES }, hash, name)).found;
    }
    let leaf: DataView | undefined = await this.#leafOf(hash);
    for (let leaves = 0; leaf !== undefined; leaves += 1) {
      if (leaves > SAME_HASH_LEAVES_MAX) throw this.#fault('forw', leaves, `at most ${SAME_HASH_LEAVES_MAX} leaves of one hash`);
      const { found, more } = await this.#among(this.#entriesOf(leaf, ENTRY_BYTES), hash, name);
      if (found !== undefined || !more || leaf.getUint32(0) === 0) return found;
      leaf = await this.#block(leaf.getUint32(0) * blockBytes);
    }
    return undefined;
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError(`Read XFS directory '${this.#directory.inode.number}'`, { structure: FAMILY.dirattr.name, field, found, expected });
  }

  async #block(at: number): Promise<DataView> {
    const { isV5 } = this.#metadata.geometry;
    const magics = isV5 ? [MAGIC.directoryLeaf1Crc, MAGIC.directoryLeafNCrc, MAGIC.nodeCrc] : [MAGIC.directoryLeaf1, MAGIC.directoryLeafN, MAGIC.node];
    const wanted: Wanted = { family: FAMILY.dirattr, magics, owner: this.#directory.inode.number };
    if (at < DIRECTORY_LEAF_BYTES) throw this.#fault('before', at, `at least ${DIRECTORY_LEAF_BYTES}: below are names`);
    return this.#metadata.block(await this.#directory.pieces(at), wanted);
  }

  #entriesOf(view: DataView, bytes: number): Entries {
    const at = this.#metadata.geometry.isV5 ? HEADER.v5 : HEADER.old;
    const countAt = this.#metadata.geometry.isV5 ? 56 : 12;
    const count = view.getUint16(countAt);
    const most = Math.floor((view.byteLength - at) / bytes);
    if (count > most) throw this.#fault('count', count, `at most ${most}`);
    return { view, at, count };
  }

  /** The first leaf that may have the hash; undefined when it is behind them all. */
  async #leafOf(hash: number): Promise<DataView | undefined> {
    const { blockBytes } = this.#metadata.geometry.facts;
    let view = await this.#block(DIRECTORY_LEAF_BYTES);
    let level = this.#depthMax;
    while (view.getUint16(8) === MAGIC.node || view.getUint16(8) === MAGIC.nodeCrc) {
      const found = view.getUint16((this.#metadata.geometry.isV5 ? 56 : 12) + 2);
      if (found >= level || found === 0) throw this.#fault('level', found, `1 to ${level - 1}`);
      level = found;
      const entries = this.#entriesOf(view, ENTRY_BYTES);
      const index = firstFrom(entries, hash);
      if (index === entries.count) return undefined;
      view = await this.#block(valueAt(entries, index) * blockBytes);
    }
    return view;
  }

  /** `more`: the next leaf may have the hash, too. */
  async #among(entries: Entries, hash: number, name: Uint8Array): Promise<{ readonly found?: StoredName; readonly more: boolean }> {
    const { directoryBytes } = this.#metadata.geometry.facts;
    let i = firstFrom(entries, hash);
    for (; i < entries.count && hashAt(entries, i) === hash; i += 1) {
      const place = valueAt(entries, i) * 8;
      // Stale entries have the address 0, where no name can be.
      if (place === 0) continue;
      if (place >= DIRECTORY_LEAF_BYTES) throw this.#fault('address', place, `less than ${DIRECTORY_LEAF_BYTES}`);
      const at = place % directoryBytes;
      const view = await this.#directory.dataBlock(place - at);
      const stored = this.#directory.nameAt(view, at, namesEnd(view));
      if (equalBytes(stored.name, name)) return { found: stored, more: false };
    }
    return { more: i === entries.count };
  }
}
