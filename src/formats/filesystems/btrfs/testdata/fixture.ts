/** The images in `testdata/`, for tests. */
import { type BlockSource, checkRange, defaultLimits, type Extent, utf8 } from '../../../../core/index.ts';
import { readPacked } from '../../../testdata/packed.ts';
import type { Filesystem, FilesystemContext } from '../../filesystem.ts';
import { btrfsDriver } from '../btrfs.ts';
import { superblockLayout } from '../btrfs.layout.ts';
import { checksumOf } from '../checksum.ts';
import { SUPERBLOCK_PLACES } from '../superblock.ts';

const read = new Map<string, Promise<SparseImage>>();
const BLOCK = 4096;
const SUPERBLOCK = 16;

/** An image of which only the blocks that are not empty are in memory. */
export class SparseImage implements BlockSource {
  readonly size: number;
  readonly sectorSize = 512;
  readonly blocks: Map<number, Uint8Array>;
  closed = 0;

  constructor(size: number, blocks: ReadonlyMap<number, Uint8Array>) {
    this.size = size;
    this.blocks = new Map(blocks);
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, 'sparse image');
    for (let at = 0; at < target.length;) {
      const inside = (offset + at) % BLOCK;
      const part = target.subarray(at, Math.min(target.length, at + BLOCK - inside));
      const block = this.blocks.get(Math.floor((offset + at) / BLOCK));
      if (block === undefined) part.fill(0);
      else part.set(block.subarray(inside, inside + part.length));
      at += part.length;
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'sparse image extents');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  /** Replaces bytes, in blocks of this image only. */
  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const index = Math.floor((offset + at) / BLOCK);
      const block = this.blocks.get(index)?.slice() ?? new Uint8Array(BLOCK);
      const inside = (offset + at) % BLOCK;
      block.set(bytes.subarray(at, at + BLOCK - inside), inside);
      this.blocks.set(index, block);
      at += BLOCK - inside;
    }
  }

  /** The block that begins at `offset`, `bytes` long. */
  async range(offset: number, bytes: number): Promise<Uint8Array> {
    const found = new Uint8Array(bytes);
    await this.readInto(offset, found);
    return found;
  }
}

async function readFixture(name: string): Promise<SparseImage> {
  const bytes = await readPacked(`filesystems/btrfs/testdata/${name}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(4, true);
  const blocks = new Map<number, Uint8Array>();
  const from = 8 + 4 * count;
  for (let i = 0; i < count; i += 1) blocks.set(view.getUint32(8 + 4 * i, true), bytes.slice(from + i * BLOCK, from + (i + 1) * BLOCK));
  return new SparseImage(view.getUint32(0, true) * BLOCK, blocks);
}

/** An image; a new one each time, which may be damaged. */
export async function image(name: string): Promise<SparseImage> {
  const known = read.get(name) ?? readFixture(name);
  read.set(name, known);
  const { size, blocks } = await known;
  return new SparseImage(size, blocks);
}

/** Opens images as one filesystem. */
export function openImages(images: readonly BlockSource[], context: Partial<FilesystemContext> = {}): Promise<Filesystem> {
  return btrfsDriver.open(images, { limits: defaultLimits, ...context });
}

/** Opens an image by name. */
export async function openFixture(name: string, context: Partial<FilesystemContext> = {}): Promise<Filesystem> {
  return openImages([await image(name)], context);
}

/** Changes the superblock of an image, and makes its checksum good again. */
export async function changeSuperblock(found: SparseImage, change: (bytes: Uint8Array) => void): Promise<void> {
  const bytes = found.blocks.get(SUPERBLOCK)?.slice() as Uint8Array;
  change(bytes);
  found.write(SUPERBLOCK * BLOCK, await sealed(bytes, superblockLayout.view(bytes).csum_type));
}

/** A block with its checksum made good. */
export async function sealed(bytes: Uint8Array, type: number): Promise<Uint8Array> {
  const checksum = await checksumOf(type > 3 ? 0 : type);
  bytes.fill(0, 0, 32);
  bytes.set(checksum.of(bytes.subarray(32)));
  return bytes;
}

/** Offsets of the tree blocks of an image; their size and the type of checksums. */
export async function treeBlocks(found: SparseImage): Promise<{ readonly offsets: readonly number[]; readonly bytes: number; readonly type: number }> {
  const view = superblockLayout.view(found.blocks.get(SUPERBLOCK) as Uint8Array);
  const checksum = await checksumOf(view.csum_type);
  const offsets: number[] = [];
  for (const index of found.blocks.keys()) {
    const offset = index * BLOCK;
    if (SUPERBLOCK_PLACES.includes(offset)) continue;
    if (offset % view.nodesize !== 0 && view.nodesize > BLOCK || offset + view.nodesize > found.size) continue;
    const block = await found.range(offset, view.nodesize);
    if (Buffer.compare(block.subarray(32, 48), view.fsid) === 0 && checksum.holds(block.subarray(32), block, 0)) offsets.push(offset);
  }
  return { offsets, bytes: view.nodesize, type: view.csum_type };
}

/** What `seq 1 N` prints. */
export function lines(count: number): Uint8Array {
  return utf8(Array.from({ length: count }, (_, i) => `${i + 1}\n`).join(''));
}
