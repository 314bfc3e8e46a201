/**
 * The index of a large directory: which block a name is in.
 * Source: Linux, Documentation/filesystems/ext4 (directory, "Hash Tree Directories").
 */
import { HoldfastError, readRange, type BlockSource } from '../../../core/index.ts';
import type { Dirent, DirectoryReader } from './directory.ts';
import { DIRENT } from './inode.layout.ts';
import type { Inode } from './inode.ts';
import { HASH_VERSION, nameHash } from './name-hash.ts';
import type { ExtGeometry } from './superblock.ts';

const BLOCK_MASK = 0x0fff_ffff;
/** Blocks that names of one hash may spread over before all blocks are looked through instead. */
const LEAVES_MAX = 64;

/** A directory with an index. */
export interface IndexedDirectory {
  readonly directories: DirectoryReader;
  readonly geometry: ExtGeometry;
  readonly inode: Inode;
  readonly content: BlockSource;
}

async function readBlock({ directories, geometry, inode, content }: IndexedDirectory, index: number): Promise<DataView | undefined> {
  const { blockBytes } = geometry;
  if ((index + 1) * blockBytes > content.size) return undefined;
  const block = await readRange(content, index * blockBytes, blockBytes);
  directories.verify(inode, block, index);
  return new DataView(block.buffer);
}

/** The numbers in a node that may lead to `hash`: the last one that begins at or before it, and those that go on with it. */
function children(view: DataView, at: number, hash: number): readonly number[] | undefined {
  const [limit, count] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
  if (count === 0 || count > limit || at + limit * DIRENT.indexEntryBytes > view.byteLength) return undefined;
  const hashAt = (i: number): number => view.getUint32(at + i * DIRENT.indexEntryBytes, true);
  let low = 1;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashAt(middle) <= hash) low = middle + 1;
    else high = middle;
  }
  const found = [low - 1];
  while (low < count && (hashAt(low) & ~1) >>> 0 === hash && found.length < LEAVES_MAX) found.push(low++);
  return found.map((i) => view.getUint32(at + i * DIRENT.indexEntryBytes + 4, true) & BLOCK_MASK);
}

/** The blocks where names with the name's hash are; `undefined` when the index is of no use. */
async function findLeaves(directory: IndexedDirectory, name: Uint8Array): Promise<readonly number[] | undefined> {
  const root = await readBlock(directory, 0);
  if (root === undefined) return undefined;
  const stored = root.getUint8(DIRENT.rootInfo + 4);
  const version = stored < HASH_VERSION.unsigned && directory.geometry.unsignedHash ? stored + HASH_VERSION.unsigned : stored;
  const hash = nameHash(name, version, directory.geometry.hashSeed);
  const levels = root.getUint8(DIRENT.rootInfo + 6);
  if (hash === undefined || levels > DIRENT.levelsMax || root.getUint8(DIRENT.rootInfo + 5) !== 8) return undefined;
  let blocks = children(root, DIRENT.rootEntries, hash);
  for (let level = 0; level < levels && blocks !== undefined; level += 1) {
    const next: number[] = [];
    for (const block of blocks) {
      const node = await readBlock(directory, block);
      const below = node === undefined ? undefined : children(node, DIRENT.nodeEntries, hash);
      if (below === undefined) return undefined;
      next.push(...below);
    }
    blocks = next;
  }
  return blocks === undefined || blocks.length >= LEAVES_MAX ? undefined : blocks;
}

async function* leafEntries(directory: IndexedDirectory, leaves: readonly number[]): AsyncIterable<readonly Dirent[]> {
  for (const index of leaves) {
    const view = await readBlock(directory, index);
    if (view !== undefined) yield directory.directories.entries(directory.inode, new Uint8Array(view.buffer), index * view.byteLength);
  }
}

/**
 * The entries of the blocks where `name` must be if it exists; `undefined` when the index is damaged or unknown, so that all blocks are to be
 * looked through.
 */
export async function hashedBlocks(directory: IndexedDirectory, name: Uint8Array): Promise<AsyncIterable<readonly Dirent[]> | undefined> {
  let leaves: readonly number[] | undefined;
  try {
    leaves = await findLeaves(directory, name);
  } catch (error) {
    // The entries themselves have the last word.
    if (!(error instanceof HoldfastError)) throw error;
  }
  return leaves === undefined ? undefined : leafEntries(directory, leaves);
}
