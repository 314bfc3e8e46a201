/** Writes images of kinds that no free tool writes: differencing VHD, VHDX and VDI, COWD, SEsparse, logs of VHDX. Small, for tests. */
import { crc32c, utf8 } from '../../../core/index.ts';
import { guidBytes } from '../../mapping/guid.ts';
import { cowdLayout, SE_SPARSE, seSparseLayout, seSparseVolatileLayout } from '../vmdk/vmdk.layout.ts';
import { vhdChecksum } from '../vhd/header.ts';
import { COOKIE, DISK_TYPE, dynamicLayout, footerLayout, locatorLayout, NOT_ALLOCATED } from '../vhd/vhd.layout.ts';
import { VDI_BLOCK, VDI_SIGNATURE, VDI_TYPE, VDI_VERSION, vdiLayout } from '../vdi/vdi.layout.ts';
import {
  dataDescriptorLayout, fileParametersLayout, GUID, headerLayout, locatorEntryLayout, logEntryLayout, metadataEntryLayout, metadataTableLayout, parentLocatorLayout, PLACE, regionLayout, regionTableLayout,
} from '../vhdx/vhdx.layout.ts';

const SECTOR = 512;
const MIB = 1 << 20;

/** A differencing disk: sectors that it holds, by number; all else is its parent's. */
export interface Difference {
  readonly size: number;
  readonly blockBytes: number;
  readonly sectors: ReadonlyMap<number, Uint8Array>;
  readonly parentName: string;
  /** As `facts.identity` of the parent has it. */
  readonly parentIdentity: string;
}

function uuidBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'));
}

function blocksOf({ sectors, blockBytes }: Difference): readonly number[] {
  return [...new Set([...sectors.keys()].map((sector) => Math.floor(sector * SECTOR / blockBytes)))].sort((a, b) => a - b);
}

/** A differencing VHD. */
export function buildVhd(disk: Difference): Uint8Array {
  const zero = new Uint8Array(512);
  const footer = footerLayout.encode({
    Cookie: utf8(COOKIE.footer), Features: 2, FileFormatVersion: 0x1_0000, DataOffset: Uint8Array.of(0, 0, 0, 0, 0, 0, 2, 0), TimeStamp: 0, CreatorApplication: utf8('win '), CreatorVersion: 0xa_0000,
    CreatorHostOs: utf8('Wi2k'), OriginalSize: disk.size, CurrentSize: disk.size, Cylinders: 1, Heads: 1, SectorsPerTrack: 1, DiskType: DISK_TYPE.differencing, Checksum: 0, UniqueId: new Uint8Array(16).fill(7),
    SavedState: 0, Reserved: zero.subarray(0, 427),
  });
  new DataView(footer.buffer).setUint32(footerLayout.offsets.Checksum, vhdChecksum(footer, footerLayout.offsets.Checksum));
  const entries = Math.ceil(disk.size / disk.blockBytes);
  const name = Buffer.from(disk.parentName, 'utf16le');
  const header = Buffer.alloc(1024);
  const unicode = Buffer.alloc(512);
  Buffer.from(disk.parentName, 'utf16le').swap16().copy(unicode);
  header.set(dynamicLayout.encode({
    Cookie: utf8(COOKIE.dynamic), DataOffset: new Uint8Array(8).fill(0xff), TableOffset: 2048, HeaderVersion: 0x1_0000, MaxTableEntries: entries, BlockSize: disk.blockBytes, Checksum: 0,
    ParentUniqueId: uuidBytes(disk.parentIdentity), ParentTimeStamp: 0, Reserved: 0, ParentUnicodeName: new Uint8Array(unicode),
  }));
  header.set(locatorLayout.encode({ PlatformCode: utf8('W2ru'), PlatformDataSpace: 512, PlatformDataLength: name.length, Reserved: 0, PlatformDataOffset: 1536 }), dynamicLayout.size);
  header.writeUInt32BE(vhdChecksum(header, dynamicLayout.offsets.Checksum), dynamicLayout.offsets.Checksum);
  const bitmapBytes = Math.ceil(disk.blockBytes / SECTOR / 8 / SECTOR) * SECTOR;
  const dataAt = Math.ceil((2048 + entries * 4) / SECTOR) * SECTOR;
  const blocks = blocksOf(disk);
  const file = Buffer.alloc(dataAt + blocks.length * (bitmapBytes + disk.blockBytes) + 512);
  file.set(footer);
  file.set(header, 512);
  file.set(name, 1536);
  for (let i = 0; i < entries; i += 1) file.writeUInt32BE(NOT_ALLOCATED, 2048 + 4 * i);
  for (const [i, block] of blocks.entries()) {
    const at = dataAt + i * (bitmapBytes + disk.blockBytes);
    file.writeUInt32BE(at / SECTOR, 2048 + 4 * block);
    for (const [sector, bytes] of disk.sectors) {
      const within = sector - block * disk.blockBytes / SECTOR;
      if (within < 0 || within >= disk.blockBytes / SECTOR) continue;
      file[at + (within >> 3)]! |= 0x80 >> (within & 7);
      file.set(bytes, at + bitmapBytes + within * SECTOR);
    }
  }
  file.set(footer, file.length - 512);
  return new Uint8Array(file);
}

/** Puts the checksum of bytes `start … start + length` at byte 4 of them. */
function sealVhdx(file: Uint8Array, start: number, length: number): void {
  const view = new DataView(file.buffer, file.byteOffset + start);
  view.setUint32(4, 0, true);
  view.setUint32(4, crc32c(file.subarray(start, start + length)), true);
}

function u64Bytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return new Uint8Array(bytes);
}

/** Section 2.6.2.6 with linkage and a relative path. */
function parentLocator(disk: Difference): Uint8Array {
  const pairs = [['parent_linkage', `{${disk.parentIdentity}}`], ['relative_path', disk.parentName], ['absolute_win32_path', `C:\\disks\\${disk.parentName}`]] as const;
  const texts: Uint8Array[] = [];
  const heads: Uint8Array[] = [parentLocatorLayout.encode({ LocatorType: guidBytes(GUID.vhdxLocatorType), Reserved: 0, KeyValueCount: pairs.length })];
  let at = parentLocatorLayout.size + pairs.length * locatorEntryLayout.size;
  for (const [key, value] of pairs) {
    const [keyBytes, valueBytes] = [Buffer.from(key, 'utf16le'), Buffer.from(value, 'utf16le')];
    heads.push(locatorEntryLayout.encode({ KeyOffset: at, ValueOffset: at + keyBytes.length, KeyLength: keyBytes.length, ValueLength: valueBytes.length }));
    texts.push(keyBytes, valueBytes);
    at += keyBytes.length + valueBytes.length;
  }
  return new Uint8Array(Buffer.concat([...heads, ...texts]));
}

/** A differencing VHDX: log at 1 MiB, BAT at 2, metadata at 3, the chunk's bitmap at 4, blocks from 5 on. Up to one chunk. */
export function buildVhdx(disk: Difference): Uint8Array {
  const blocks = blocksOf(disk);
  const file = new Uint8Array(5 * MIB + blocks.length * disk.blockBytes);
  file.set(utf8('vhdxfile'));
  for (const [index, at] of [PLACE.header1, PLACE.header2].entries()) {
    file.set(headerLayout.encode({
      Signature: utf8('head'), Checksum: 0, SequenceNumber: u64Bytes(index + 5), FileWriteGuid: new Uint8Array(16).fill(1), DataWriteGuid: new Uint8Array(16).fill(2), LogGuid: new Uint8Array(16),
      LogVersion: 0, Version: 1, LogLength: MIB, LogOffset: MIB,
    }), at);
    sealVhdx(file, at, 4096);
  }
  for (const at of [PLACE.region1, PLACE.region2]) {
    file.set(regionTableLayout.encode({ Signature: utf8('regi'), Checksum: 0, EntryCount: 2, Reserved: 0 }), at);
    file.set(regionLayout.encode({ Guid: guidBytes(GUID.bat), FileOffset: 2 * MIB, Length: MIB, Required: 1 }), at + 16);
    file.set(regionLayout.encode({ Guid: guidBytes(GUID.metadata), FileOffset: 3 * MIB, Length: MIB, Required: 1 }), at + 48);
    sealVhdx(file, at, 65_536);
  }
  const items: readonly (readonly [string, Uint8Array])[] = [
    [GUID.fileParameters, fileParametersLayout.encode({ BlockSize: disk.blockBytes, Flags: 2 })], [GUID.virtualDiskSize, u64Bytes(disk.size)], [GUID.logicalSectorSize, u64Bytes(512).subarray(0, 4)],
    [GUID.parentLocator, parentLocator(disk)],
  ];
  file.set(metadataTableLayout.encode({ Signature: utf8('metadata'), Reserved: 0, EntryCount: items.length, Reserved2: new Uint8Array(20) }), 3 * MIB);
  let itemAt = 65_536;
  for (const [i, [id, bytes]] of items.entries()) {
    file.set(metadataEntryLayout.encode({ ItemId: guidBytes(id), Offset: itemAt, Length: bytes.length, Flags: 4, Reserved: 0 }), 3 * MIB + 32 + 32 * i);
    file.set(bytes, 3 * MIB + itemAt);
    itemAt += bytes.length;
  }
  const bat = new DataView(file.buffer, 2 * MIB, MIB);
  bat.setUint32(2 ** 23 * SECTOR / disk.blockBytes * 8, 4 * MIB | 6, true);
  for (const [i, block] of blocks.entries()) bat.setUint32(block * 8, 5 * MIB + i * disk.blockBytes | 7, true);
  for (const [sector, bytes] of disk.sectors) {
    file[4 * MIB + (sector >> 3)]! |= 1 << (sector & 7);
    const block = Math.floor(sector * SECTOR / disk.blockBytes);
    file.set(bytes, 5 * MIB + blocks.indexOf(block) * disk.blockBytes + sector * SECTOR % disk.blockBytes);
  }
  return file;
}

/** A sector of 4 KiB that a log entry restores, or without bytes a run of zeroes. */
export interface LoggedWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** One entry of a VHDX log; `tail` is the place of the oldest entry to replay. */
export function buildLogEntry(writes: readonly LoggedWrite[], at: { readonly sequence: number; readonly tail: number; readonly fileBytes: number; readonly guid: Uint8Array }): Uint8Array {
  const head = Math.ceil((logEntryLayout.size + writes.length * 32) / 4096) * 4096;
  const entry = new Uint8Array(head + writes.length * 4096);
  entry.set(logEntryLayout.encode({
    Signature: utf8('loge'), Checksum: 0, EntryLength: entry.length, Tail: at.tail, SequenceNumber: at.sequence, DescriptorCount: writes.length, Reserved: 0, LogGuid: at.guid,
    FlushedFileOffset: at.fileBytes, LastFileOffset: at.fileBytes,
  }));
  for (const [i, { offset, bytes }] of writes.entries()) {
    entry.set(dataDescriptorLayout.encode({ DataSignature: utf8('desc'), TrailingBytes: bytes.subarray(4092, 4096), LeadingBytes: bytes.subarray(0, 8), FileOffset: offset, SequenceNumber: at.sequence }), logEntryLayout.size + 32 * i);
    const sector = head + 4096 * i;
    entry.set(bytes.subarray(8, 4092), sector + 8);
    entry.set(utf8('data'), sector);
    new DataView(entry.buffer).setUint32(sector + 4092, at.sequence, true);
  }
  sealVhdx(entry, 0, entry.length);
  return entry;
}

/** Names a log in both headers of a VHDX, in place. */
export function nameLog(file: Uint8Array, guid: Uint8Array): void {
  for (const at of [PLACE.header1, PLACE.header2]) {
    file.set(guid, at + headerLayout.offsets.LogGuid);
    sealVhdx(file, at, 4096);
  }
}

/** A differencing VDI: whole blocks, by number; `zeroes` are blocks that are surely zero. */
export function buildVdi(disk: { readonly size: number; readonly blockBytes: number; readonly blocks: ReadonlyMap<number, Uint8Array>; readonly zeroes: readonly number[]; readonly parentIdentity: string }): Uint8Array {
  const count = Math.ceil(disk.size / disk.blockBytes);
  const offData = 4096;
  const file = new Uint8Array(offData + disk.blocks.size * disk.blockBytes);
  file.set(vdiLayout.encode({
    fileInfo: new Uint8Array(64), signature: VDI_SIGNATURE, version: VDI_VERSION, headerSize: 400, imageType: VDI_TYPE.differencing, imageFlags: 0, comment: new Uint8Array(256), offBlocks: 512, offData,
    cylinders: 0, heads: 0, sectors: 0, sectorSize: 512, dummy: 0, diskSize: disk.size, blockSize: disk.blockBytes, blockExtra: 0, blocks: count, blocksAllocated: disk.blocks.size,
    uuidCreate: new Uint8Array(16).fill(9), uuidModify: new Uint8Array(16), uuidLinkage: guidBytes(disk.parentIdentity), uuidParentModify: new Uint8Array(16),
  }));
  const map = new DataView(file.buffer, 512);
  for (let i = 0; i < count; i += 1) map.setUint32(4 * i, disk.zeroes.includes(i) ? VDI_BLOCK.zero : VDI_BLOCK.free, true);
  for (const [index, [block, bytes]] of [...disk.blocks].entries()) {
    map.setUint32(4 * block, index, true);
    file.set(bytes, offData + index * disk.blockBytes);
  }
  return file;
}

/** A COWD extent with grains of one sector. */
export function buildCowd(size: number, sectors: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const tables = Math.ceil(size / SECTOR / 4096);
  const gdSectors = Math.ceil(tables * 4 / SECTOR);
  const tablesAt = 4 + gdSectors;
  const dataAt = tablesAt + tables * 32;
  const file = Buffer.alloc((dataAt + sectors.size) * SECTOR);
  file.set(cowdLayout.encode({ magicNumber: utf8('COWD'), version: 1, flags: 3, numSectors: size / SECTOR, grainSize: 1, gdOffset: 4, numGDEntries: tables, freeSector: dataAt + sectors.size }));
  for (let i = 0; i < tables; i += 1) file.writeUInt32LE(tablesAt + i * 32, 4 * SECTOR + 4 * i);
  for (const [index, [sector, bytes]] of [...sectors].entries()) {
    file.writeUInt32LE(dataAt + index, tablesAt * SECTOR + sector * 4);
    file.set(bytes, (dataAt + index) * SECTOR);
  }
  return new Uint8Array(file);
}

/** An SEsparse extent with grains of 4 KiB; `zeroes` are grains that are surely zero. One grain table: up to 16 MiB. */
export function buildSeSparse(size: number, grains: ReadonlyMap<number, Uint8Array>, zeroes: readonly number[]): Uint8Array {
  const grainBytes = 4096;
  // Sectors: header, volatile header, directory, one table of 64 sectors, grains.
  const [directoryAt, tablesAt, grainsAt] = [2, 3, 67];
  const file = Buffer.alloc(grainsAt * SECTOR + grains.size * grainBytes);
  file.set(seSparseLayout.encode({
    magic: SE_SPARSE.magic, version: SE_SPARSE.version, capacity: size / SECTOR, grain_size: 8, grain_table_size: 64, flags: 0, reserved: new Uint8Array(32), volatile_header_offset: 1, volatile_header_size: 1,
    journal_header_offset: 0, journal_header_size: 0, journal_offset: 0, journal_size: 0, grain_dir_offset: directoryAt, grain_dir_size: 1, grain_tables_offset: tablesAt, grain_tables_size: 64,
    free_bitmap_offset: 0, free_bitmap_size: 0, backmap_offset: 0, backmap_size: 0, grains_offset: grainsAt, grains_size: grains.size * 8,
  }));
  file.set(seSparseVolatileLayout.encode({ magic: SE_SPARSE.volatileMagic, free_gt_number: 1, next_txn_seq_number: 1, replay_journal: 0 }), SECTOR);
  file.writeUInt32LE(0x1000_0000, directoryAt * SECTOR + 4);
  for (const grain of zeroes) file.writeUInt32LE(0x2000_0000, tablesAt * SECTOR + grain * 8 + 4);
  for (const [index, [grain, bytes]] of [...grains].entries()) {
    file.writeUInt32LE(index >>> 12, tablesAt * SECTOR + grain * 8);
    file.writeUInt32LE((0x3000_0000 | (index & 0xfff) << 16) >>> 0, tablesAt * SECTOR + grain * 8 + 4);
    file.set(bytes, grainsAt * SECTOR + index * grainBytes);
  }
  return new Uint8Array(file);
}
