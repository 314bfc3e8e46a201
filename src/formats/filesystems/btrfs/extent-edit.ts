/** Changing the extents of a file in a replayed tree. Source: kernel `fs/btrfs/file.c`, the cases that `btrfs_drop_extents` draws. */
import { FormatError } from '../../../core/index.ts';
import { extentLayout, extentPlaceLayout, ITEM } from './btrfs.layout.ts';
import { type Item, itemBytes } from './node.ts';
import type { ReplayedTree } from './replayed-tree.ts';
import { exactAt } from './wide.ts';

const PLACE = extentLayout.size;
const { disk_bytenr: DISK, offset: OFFSET, num_bytes: LENGTH } = extentPlaceLayout.offsets;

function fault(item: Item, field: string, found: number, expected: string): FormatError {
  return new FormatError('Replay btrfs log', { structure: `btrfs_file_extent_item (${item.objectid} ${item.type} ${item.offset})`, field, found, expected });
}

/** Whether an extent holds its bytes itself. @throws {FormatError} when the item is too short for its type. */
export function isInline(item: Item): boolean {
  const inline = item.size > PLACE && item.view.getUint8(item.at + extentLayout.offsets.type) === 0;
  if (!inline && item.size < PLACE + extentPlaceLayout.size) throw fault(item, 'size', item.size, `at least ${PLACE + extentPlaceLayout.size}`);
  return inline;
}

/** Whether an extent stands for zeroes without a place. */
export function isHole(item: Item): boolean {
  return !isInline(item) && exactAt(item.view, item.at + PLACE + DISK, 'btrfs_file_extent_item', 'disk_bytenr') === 0;
}

/** Where an extent ends in its file; an inline one takes its whole sector. */
export function extentEnd(item: Item, sectorBytes: number): number {
  if (item.offset < 0) throw fault(item, 'key.offset', item.offset, 'an offset inside of the file');
  if (!isInline(item)) return item.offset + exactAt(item.view, item.at + PLACE + LENGTH, 'btrfs_file_extent_item', 'num_bytes');
  const bytes = exactAt(item.view, item.at + extentLayout.offsets.ram_bytes, 'btrfs_file_extent_item', 'ram_bytes');
  return Math.ceil((item.offset + bytes) / sectorBytes) * sectorBytes;
}

/** The part of an extent from `start` to `end`, as an item of its own. */
function putPart(tree: ReplayedTree, item: Item, start: number, end: number): void {
  const bytes = itemBytes(item).slice();
  const view = new DataView(bytes.buffer);
  const skip = exactAt(view, PLACE + OFFSET, 'btrfs_file_extent_item', 'offset') + (start - item.offset);
  // A hole has no extent to begin within.
  if (!isHole(item)) view.setBigUint64(PLACE + OFFSET, BigInt(skip), true);
  view.setBigUint64(PLACE + LENGTH, BigInt(end - start), true);
  tree.put({ objectid: item.objectid, type: item.type, offset: start }, bytes);
}

/** Takes the bytes from `start` to `end` out of a file: extents in it go, those that reach out of it are cut. @throws {FormatError} */
export async function dropExtents(tree: ReplayedTree, inode: number, { start, end }: { readonly start: number; readonly end: number }, sectorBytes: number): Promise<void> {
  if (end <= start) return;
  const last = end === Infinity ? -1 : end - 1;
  for await (const page of tree.pages({ objectid: inode, type: ITEM.EXTENT_DATA, first: start, last, floor: true })) {
    for (const item of page) {
      const itemEnd = extentEnd(item, sectorBytes);
      if (itemEnd <= start || item.offset >= end) continue;
      if (isInline(item) && (item.offset < start || itemEnd > end)) throw fault(item, 'type', 0, 'an inline extent as a whole');
      tree.delete(item);
      if (item.offset < start) putPart(tree, item, item.offset, start);
      if (itemEnd > end) putPart(tree, item, end, itemEnd);
    }
  }
}
