/** Buffer items: parts of metadata blocks. Source: "XFS Algorithms & Data Structures", "Buffer Log Item". */
import { checkLimit, equalBytes, FormatError, type Limits } from '../../../../core/index.ts';
import type { XfsGeometry } from '../geometry.ts';
import { BASIC_BLOCK, FAMILY, MAGIC, superblockLayout } from '../xfs.layout.ts';
import { BUFFER_CHUNK, BUFFER_FLAG, bufferLayout, BUFFERS_NOT_READ } from './log.layout.ts';
import { compareLsn, type Lsn } from './log-record.ts';
import type { LogOverlay } from './overlay.ts';
import { type LogItem, regionOf } from './transactions.ts';

/** What a buffer item is about. */
export interface BufferItem {
  /** In basic blocks. */
  readonly block: number;
  readonly length: number;
  readonly isCancel: boolean;
  /** Inodes' places in lists of unlinked ones: nothing that a reader looks at. */
  readonly isIgnored: boolean;
  readonly map: Uint8Array;
}

/** @throws {FormatError} */
export function parseBuffer(item: LogItem): BufferItem {
  const head = regionOf(item, 0);
  const view = bufferLayout.view(head);
  const { blf_flags: flags, blf_map_size: words } = view;
  if (bufferLayout.size + words * 4 > head.length) throw new FormatError('Replay XFS log', { structure: bufferLayout.name, field: 'blf_map_size', found: words, expected: `at most ${(head.length - bufferLayout.size) / 4}` });
  return {
    block: view.blf_blkno, length: view.blf_len, isCancel: (flags & BUFFER_FLAG.cancel) !== 0,
    isIgnored: (flags & (BUFFER_FLAG.inodes | BUFFER_FLAG.quota)) !== 0 || BUFFERS_NOT_READ.has(flags >>> BUFFER_FLAG.typeShift),
    map: head.subarray(bufferLayout.size, bufferLayout.size + words * 4),
  };
}

/** Buffers that were given up: what the log says of them before that must not be replayed over what the space is used for since. */
export class CancelledBuffers {
  readonly #counts = new Map<string, number>();

  add(block: number, length: number): void {
    const key = `${block}/${length}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  remove(block: number, length: number): void {
    const key = `${block}/${length}`;
    const count = (this.#counts.get(key) ?? 0) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }

  has(block: number, length: number): boolean {
    return this.#counts.has(`${block}/${length}`);
  }
}

/** Where version 5 blocks keep the place in the log of their last change, by magic number. */
const lsnPlaces: ReadonlyMap<number, { readonly lsnAt: number; readonly uuidAt: number }> = new Map([
  [MAGIC.bmapCrc, FAMILY.longBtree], [MAGIC.directoryBlockCrc, FAMILY.directoryData], [MAGIC.directoryDataCrc, FAMILY.directoryData], [MAGIC.symlink, FAMILY.symlink],
  [MAGIC.superblock, { lsnAt: superblockLayout.offsets.sb_lsn, uuidAt: superblockLayout.offsets.sb_uuid }],
  // B+trees of allocation groups: free space by block and by size, inodes, free inodes, reverse mappings, reference counts.
  ...[0x4142_3342, 0x4142_3343, 0x4941_4233, 0x4649_4233, 0x524d_4233, 0x5233_4643].map((magic) => [magic, { lsnAt: 24, uuidAt: 32 }] as const),
]);
const dirattrMagics: readonly number[] = [MAGIC.directoryLeaf1Crc, MAGIC.directoryLeafNCrc, MAGIC.nodeCrc, MAGIC.attributeLeafCrc];

/** The place in the log of a block's last change; undefined when the block does not say, or is left from another filesystem. */
function lsnOf(bytes: Uint8Array, geometry: XfsGeometry): Lsn | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  const place = lsnPlaces.get(magic) ?? (dirattrMagics.includes(view.getUint16(FAMILY.dirattr.magicAt)) ? FAMILY.dirattr : undefined);
  if (place === undefined) return undefined;
  const uuid = bytes.subarray(place.uuidAt, place.uuidAt + 16);
  // The superblock has the identity that users see, which may have been changed since its metadata was made.
  if (magic !== MAGIC.superblock && !equalBytes(uuid, geometry.facts.metaUuid)) return undefined;
  const lsn = { cycle: view.getUint32(place.lsnAt), block: view.getUint32(place.lsnAt + 4) };
  return (lsn.cycle === 0 && lsn.block === 0) || (lsn.cycle === 0xffff_ffff && lsn.block === 0xffff_ffff) ? undefined : lsn;
}

/** Puts the item's regions in their places. @throws {FormatError} when they don't fit. */
function applyRegions(item: LogItem, { map }: BufferItem, bytes: Uint8Array): void {
  const bits = map.length * 8;
  const isSet = (bit: number): boolean => ((map[bit >>> 3] as number) >>> (bit & 7) & 1) === 1;
  let index = 1;
  for (let bit = 0; bit < bits;) {
    if (!isSet(bit)) {
      bit += 1;
      continue;
    }
    let end = bit + 1;
    while (end < bits && isSet(end)) end += 1;
    const region = regionOf(item, index);
    const length = (end - bit) * BUFFER_CHUNK;
    if (region.length < length || bit * BUFFER_CHUNK + length > bytes.length) {
      throw new FormatError('Replay XFS log', { structure: bufferLayout.name, field: 'blf_data_map', found: `chunks ${bit} to ${end}`, expected: `${region.length} bytes inside a buffer of ${bytes.length}` });
    }
    bytes.set(region.subarray(0, length), bit * BUFFER_CHUNK);
    index += 1;
    bit = end;
  }
}

/** Replays one buffer, unless the disk has it newer. @throws {FormatError} @throws {LimitError} */
export async function replayBuffer(item: LogItem, lsn: Lsn, overlay: LogOverlay, options: { readonly geometry: XfsGeometry; readonly limits: Limits }): Promise<void> {
  const buffer = parseBuffer(item);
  const at = buffer.block * BASIC_BLOCK;
  const length = buffer.length * BASIC_BLOCK;
  checkLimit(options.limits, 'filesystemBlockBytesMax', length, `${bufferLayout.name}.blf_len`);
  if (length === 0) return;
  const bytes = await overlay.read(at, length);
  if (options.geometry.isV5 && !overlay.touches(at, length)) {
    const onDisk = lsnOf(bytes, options.geometry);
    if (onDisk !== undefined && compareLsn(onDisk, lsn) >= 0) return;
  }
  applyRegions(item, buffer, bytes);
  await overlay.write(at, bytes);
}
