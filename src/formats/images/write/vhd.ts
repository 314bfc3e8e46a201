/** Writes dynamic VHD images: footer, header, BAT, blocks in the disk's order, footer. Source: "Virtual Hard Disk Image Format Specification", version 1.0. */
import { type BlockSource, LimitError, utf8 } from '../../../core/index.ts';
import { vhdChecksum } from '../vhd/header.ts';
import { COOKIE, DISK_TYPE, DYNAMIC_BYTES, dynamicLayout, EPOCH_MS, footerLayout, NOT_ALLOCATED } from '../vhd/vhd.layout.ts';
import { forEachPiece, planClusters, roundUp, writeSparsely, writeTable } from './plan.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import type { WriteOptions } from './write.ts';

const SECTOR = 512;
const BLOCK_BYTES = 2 << 20;
const TABLE_AT = footerLayout.size + DYNAMIC_BYTES;
/** 2,040 GiB: what the specification allows. */
const SIZE_MAX = 2040 * 2 ** 30;

/** Cylinders, heads and sectors by the specification's appendix "CHS Calculation". */
function geometry(size: number): { readonly Cylinders: number; readonly Heads: number; readonly SectorsPerTrack: number } {
  const total = Math.min(size / SECTOR, 65_535 * 16 * 255);
  let [sectors, heads] = [255, 16];
  if (total < 65_535 * 16 * 63) {
    sectors = 17;
    heads = Math.max(4, Math.ceil(Math.floor(total / 17) / 1024));
    if (Math.floor(total / 17) >= heads * 1024 || heads > 16) [sectors, heads] = [31, 16];
    if (Math.floor(total / sectors) >= heads * 1024) [sectors, heads] = [63, 16];
  }
  return { Cylinders: Math.floor(Math.floor(total / sectors) / heads), Heads: heads, SectorsPerTrack: sectors };
}

function footerFor(size: number, { identity, timeMs }: WriteOptions): Uint8Array {
  const footer = footerLayout.encode({
    Cookie: utf8(COOKIE.footer), Features: 2, FileFormatVersion: 0x1_0000, DataOffset: Uint8Array.of(0, 0, 0, 0, 0, 0, 2, 0), TimeStamp: Math.max(0, Math.floor((timeMs - EPOCH_MS) / 1000)), CreatorApplication: utf8('win '),
    CreatorVersion: 0xa_0000, CreatorHostOs: utf8('Wi2k'), OriginalSize: size, CurrentSize: size, ...geometry(size), DiskType: DISK_TYPE.dynamic, Checksum: 0, UniqueId: identity, SavedState: 0, Reserved: new Uint8Array(427),
  });
  new DataView(footer.buffer).setUint32(footerLayout.offsets.Checksum, vhdChecksum(footer, footerLayout.offsets.Checksum));
  return footer;
}

function dynamicHeader(entries: number): Uint8Array {
  const header = new Uint8Array(DYNAMIC_BYTES);
  header.set(dynamicLayout.encode({
    Cookie: utf8(COOKIE.dynamic), DataOffset: new Uint8Array(8).fill(0xff), TableOffset: TABLE_AT, HeaderVersion: 0x1_0000, MaxTableEntries: entries, BlockSize: BLOCK_BYTES, Checksum: 0,
    ParentUniqueId: new Uint8Array(16), ParentTimeStamp: 0, Reserved: 0, ParentUnicodeName: new Uint8Array(512),
  }));
  new DataView(header.buffer).setUint32(dynamicLayout.offsets.Checksum, vhdChecksum(header, dynamicLayout.offsets.Checksum));
  return header;
}

/** Writes the source's disk; its size is rounded up to whole sectors. @throws {LimitError} above 2,040 GiB. @throws whatever source or sink throw. */
export async function writeVhd(source: BlockSource, to: ImageSink, options: WriteOptions): Promise<void> {
  if (source.size > SIZE_MAX) throw new LimitError('disk bytes', source.size, SIZE_MAX, 'disk to write as VHD');
  const sink = new CountingSink(to);
  const plan = await planClusters(source, BLOCK_BYTES, options.limits);
  const footer = footerFor(roundUp(source.size, SECTOR), options);
  await sink.write(footer);
  await sink.write(dynamicHeader(plan.count));
  const dataAt = roundUp(TABLE_AT + plan.count * 4, SECTOR);
  const bitmap = new Uint8Array(BLOCK_BYTES / SECTOR / 8).fill(0xff);
  let next = dataAt;
  await writeTable(sink, { count: plan.count, entryBytes: 4 }, (view, at, index) => {
    view.setUint32(at, plan.has(index) ? next / SECTOR : NOT_ALLOCATED);
    if (plan.has(index)) next += bitmap.length + BLOCK_BYTES;
  });
  await sink.write(new Uint8Array(dataAt - sink.at).fill(0xff));
  // A piece is one block: its size is above that of a piece.
  await forEachPiece(source, plan, async (bytes) => {
    await sink.write(bitmap);
    await writeSparsely(sink, bytes);
  });
  await sink.write(footer);
}
