/** Writes dynamic VHDX images: headers, log, metadata, BAT, then the blocks in the disk's order. Source: [MS-VHDX]. */
import { type BlockSource, crc32c, LimitError, utf8 } from '../../../core/index.ts';
import { guidBytes } from '../../mapping/guid.ts';
import { BLOCK, fileParametersLayout, FILE_SIGNATURE, GUID, HEADER_BYTES, headerLayout, metadataEntryLayout, metadataTableLayout, PLACE, REGION_TABLE_BYTES, regionLayout, regionTableLayout } from '../vhdx/vhdx.layout.ts';
import { planClusters, roundUp, writeClusters, writeTable } from './plan.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import type { WriteOptions } from './write.ts';

const MIB = 1 << 20;
const BLOCK_BYTES = 2 * MIB;
const LOG_AT = MIB;
const METADATA_AT = 2 * MIB;
const BAT_AT = 3 * MIB;
const SECTOR = 512;
/** 64 TiB: what the specification allows. */
const SIZE_MAX = 64 * 2 ** 40;
/** `IsRequired`, and with it `IsVirtualDisk`. */
const REQUIRED = 4;
const REQUIRED_DISK = 6;

/** Bytes in a room of `room`, with their checksum at byte 4. */
function sealed(parts: readonly Uint8Array[], room: number): Uint8Array {
  const bytes = new Uint8Array(room);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  new DataView(bytes.buffer).setUint32(4, crc32c(bytes), true);
  return bytes;
}

function number64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return new Uint8Array(bytes);
}

function number32(value: number): Uint8Array {
  return number64(value).subarray(0, 4);
}

function metadataRegion(size: number, identity: Uint8Array): Uint8Array {
  const items = [
    [GUID.fileParameters, fileParametersLayout.encode({ BlockSize: BLOCK_BYTES, Flags: 0 }), REQUIRED], [GUID.virtualDiskSize, number64(size), REQUIRED_DISK], [GUID.virtualDiskId, identity, REQUIRED_DISK],
    [GUID.logicalSectorSize, number32(SECTOR), REQUIRED_DISK], [GUID.physicalSectorSize, number32(4096), REQUIRED_DISK],
  ] as const;
  const region = new Uint8Array(MIB);
  region.set(metadataTableLayout.encode({ Signature: utf8('metadata'), Reserved: 0, EntryCount: items.length, Reserved2: new Uint8Array(20) }));
  let at = REGION_TABLE_BYTES;
  for (const [i, [id, bytes, flags]] of items.entries()) {
    region.set(metadataEntryLayout.encode({ ItemId: guidBytes(id), Offset: at, Length: bytes.length, Flags: flags, Reserved: 0 }), metadataTableLayout.size + i * metadataEntryLayout.size);
    region.set(bytes, at);
    at += bytes.length;
  }
  return region;
}

/** Writes the source's disk; its size is rounded up to whole sectors. @throws whatever source or sink throw. @throws {LimitError} */
export async function writeVhdx(source: BlockSource, to: ImageSink, { limits, identity }: WriteOptions): Promise<void> {
  if (source.size > SIZE_MAX) throw new LimitError('disk bytes', source.size, SIZE_MAX, 'disk to write as VHDX');
  const sink = new CountingSink(to);
  const plan = await planClusters(source, BLOCK_BYTES, limits);
  const chunkBlocks = 2 ** 23 * SECTOR / BLOCK_BYTES;
  const entries = plan.count + Math.floor(Math.max(0, plan.count - 1) / chunkBlocks);
  const batBytes = Math.max(MIB, roundUp(entries * 8, MIB));
  const dataAt = BAT_AT + batBytes;

  await sink.write(utf8(FILE_SIGNATURE));
  await sink.write(new Uint8Array(Buffer.from('holdfast', 'utf16le')));
  for (const [index, at] of [PLACE.header1, PLACE.header2].entries()) {
    await sink.skipTo(at);
    await sink.write(sealed([headerLayout.encode({
      Signature: utf8('head'), Checksum: 0, SequenceNumber: number64(index + 1), FileWriteGuid: identity, DataWriteGuid: identity, LogGuid: new Uint8Array(16), LogVersion: 0, Version: 1, LogLength: MIB, LogOffset: LOG_AT,
    })], HEADER_BYTES));
  }
  const regions = sealed([
    regionTableLayout.encode({ Signature: utf8('regi'), Checksum: 0, EntryCount: 2, Reserved: 0 }),
    regionLayout.encode({ Guid: guidBytes(GUID.bat), FileOffset: BAT_AT, Length: batBytes, Required: 1 }),
    regionLayout.encode({ Guid: guidBytes(GUID.metadata), FileOffset: METADATA_AT, Length: MIB, Required: 1 }),
  ], REGION_TABLE_BYTES);
  for (const at of [PLACE.region1, PLACE.region2]) {
    await sink.skipTo(at);
    await sink.write(regions);
  }
  await sink.skipTo(METADATA_AT);
  await sink.write(metadataRegion(roundUp(source.size, SECTOR), identity));
  let next = dataAt;
  await writeTable(sink, { count: entries, entryBytes: 8 }, (view, at, index) => {
    const block = index - Math.floor(index / (chunkBlocks + 1));
    // Every entry behind a chunk is that of its bitmap, which a disk without a parent has not.
    if ((index + 1) % (chunkBlocks + 1) === 0 || !plan.has(block)) return;
    view.setUint32(at, (next % 2 ** 32 | BLOCK.fullyPresent) >>> 0, true);
    view.setUint32(at + 4, Math.floor(next / 2 ** 32), true);
    next += BLOCK_BYTES;
  });
  await sink.skipTo(dataAt);
  await writeClusters(source, plan, sink);
}
