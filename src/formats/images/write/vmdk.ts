/**
 * Writes VMDK images of one file: sparse (tables in front of the grains) and stream-optimised (compressed grains, tables behind them).
 * Source: VMware, "Virtual Disk Format 5.0", "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents".
 */
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import { type BlockSource, LimitError, utf8 } from '../../../core/index.ts';
import { COMPRESSION_DEFLATE, grainMarkerLayout, GTES_PER_GT, MAGIC, MARKER, SPARSE_FLAG, sparseLayout } from '../vmdk/vmdk.layout.ts';
import { type ClusterPlan, forEachPiece, planClusters, roundUp, writeClusters, writeTable } from './plan.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import { descriptorText } from './vmdk-text.ts';
import type { WriteOptions } from './write.ts';

const pack = promisify(deflate);
const SECTOR = 512;
const GRAIN_SECTORS = 128;
const GRAIN_BYTES = GRAIN_SECTORS * SECTOR;
const TABLE_SECTORS = GTES_PER_GT * 4 / SECTOR;
const DESCRIPTOR_AT = 1;
const DESCRIPTOR_SECTORS = 20;
/** `gdOffset` of a stream: the footer says where. */
const AT_END = new Uint8Array(8).fill(0xff);

function number64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return new Uint8Array(bytes);
}

/** Tables have 32 bits for a sector of the file. @throws {LimitError} when the file would go beyond. */
function checkSector(sector: number): number {
  if (sector >= 2 ** 32) throw new LimitError('sector of the file', sector, 2 ** 32 - 1, 'disk to write as VMDK');
  return sector;
}

interface HeaderPart {
  readonly flags: number;
  readonly version: number;
  readonly rgdOffset: number;
  readonly gdOffset: Uint8Array;
  readonly overHead: number;
  readonly compressAlgorithm: number;
  readonly descriptor: boolean;
}

function headerFor(bytes: number, part: HeaderPart): Uint8Array {
  return sparseLayout.encode({
    magicNumber: utf8(MAGIC.sparse), version: part.version, flags: part.flags | SPARSE_FLAG.newLineTest, capacity: bytes / SECTOR, grainSize: GRAIN_SECTORS,
    descriptorOffset: part.descriptor ? DESCRIPTOR_AT : 0, descriptorSize: part.descriptor ? DESCRIPTOR_SECTORS : 0, numGTEsPerGT: GTES_PER_GT, rgdOffset: part.rgdOffset, gdOffset: part.gdOffset, overHead: part.overHead,
    uncleanShutdown: 0, singleEndLineChar: 0x0a, nonEndLineChar: 0x20, doubleEndLineChar1: 0x0d, doubleEndLineChar2: 0x0a, compressAlgorithm: part.compressAlgorithm, pad: new Uint8Array(433),
  });
}

/** Any number but that of "no parent", from the identity. */
function cidOf(identity: Uint8Array): number {
  return Buffer.from(identity).readUInt32LE(0) % 0xffff_fffe;
}

async function writeHead(sink: CountingSink, header: Uint8Array, descriptor: Uint8Array): Promise<void> {
  await sink.write(header);
  await sink.write(descriptor);
  await sink.skipTo((DESCRIPTOR_AT + DESCRIPTOR_SECTORS) * SECTOR);
}

/** Writes a `monolithicSparse` disk; its size is rounded up to whole sectors. @throws whatever source or sink throw. @throws {LimitError} */
export async function writeVmdkSparse(source: BlockSource, to: ImageSink, { limits, identity, name }: WriteOptions): Promise<void> {
  const sink = new CountingSink(to);
  const plan = await planClusters(source, GRAIN_BYTES, limits);
  const bytes = roundUp(source.size, SECTOR);
  const tables = Math.ceil(plan.count / GTES_PER_GT);
  const directorySectors = Math.ceil(tables * 4 / SECTOR);
  const rgd = DESCRIPTOR_AT + DESCRIPTOR_SECTORS;
  const gd = rgd + directorySectors + tables * TABLE_SECTORS;
  const overHead = roundUp(gd + directorySectors + tables * TABLE_SECTORS, GRAIN_SECTORS);
  checkSector(overHead + plan.used * GRAIN_SECTORS);
  const header = headerFor(bytes, { flags: SPARSE_FLAG.redundantTable, version: 1, rgdOffset: rgd, gdOffset: number64(gd), overHead, compressAlgorithm: 0, descriptor: true });
  await writeHead(sink, header, descriptorText({ createType: 'monolithicSparse', bytes, cid: cidOf(identity), name }));
  for (const directory of [rgd, gd]) {
    await writeTable(sink, { count: tables, entryBytes: 4 }, (view, at, index) => { view.setUint32(at, directory + directorySectors + index * TABLE_SECTORS, true); });
    await sink.skipTo((directory + directorySectors) * SECTOR);
    let next = overHead;
    await writeTable(sink, { count: tables * GTES_PER_GT, entryBytes: 4 }, (view, at, index) => {
      if (index >= plan.count || !plan.has(index)) return;
      view.setUint32(at, next, true);
      next += GRAIN_SECTORS;
    });
  }
  await sink.skipTo(overHead * SECTOR);
  await writeClusters(source, plan, sink);
}

/** A sector that announces `sectors` of metadata. */
function marker(type: number, sectors: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  bytes.set(grainMarkerLayout.encode({ lba: sectors, size: 0 }));
  new DataView(bytes.buffer).setUint32(grainMarkerLayout.size, type, true);
  return bytes;
}

/** Appends the grains; sector of each, 0 where there is none. Grains of nothing but zeroes are left out. */
async function writeGrains(source: BlockSource, plan: ClusterPlan, sink: CountingSink): Promise<Uint32Array> {
  const sectors = new Uint32Array(plan.count);
  const zeroes = new Uint8Array(GRAIN_BYTES);
  await forEachPiece(source, plan, async (bytes, first) => {
    const grains = Array.from({ length: bytes.length / GRAIN_BYTES }, (_none, i) => bytes.subarray(i * GRAIN_BYTES, (i + 1) * GRAIN_BYTES));
    const packed = await Promise.all(grains.map((grain) => (Buffer.compare(grain, zeroes) === 0 ? undefined : pack(grain))));
    for (const [i, data] of packed.entries()) {
      if (data === undefined) continue;
      sectors[first + i] = checkSector(sink.at / SECTOR);
      await sink.write(grainMarkerLayout.encode({ lba: (first + i) * GRAIN_SECTORS, size: data.length }));
      await sink.write(data);
      await sink.skipTo(roundUp(sink.at, SECTOR));
    }
  });
  return sectors;
}

/** Writes a `streamOptimized` disk; its size is rounded up to whole sectors. @throws whatever source or sink throw. @throws {LimitError} */
export async function writeVmdkStream(source: BlockSource, to: ImageSink, { limits, identity, name }: WriteOptions): Promise<void> {
  const sink = new CountingSink(to);
  const plan = await planClusters(source, GRAIN_BYTES, limits);
  const bytes = roundUp(source.size, SECTOR);
  const flags = SPARSE_FLAG.compressed | SPARSE_FLAG.markers;
  const common = { flags, version: 3, rgdOffset: 0, overHead: GRAIN_SECTORS, compressAlgorithm: COMPRESSION_DEFLATE } as const;
  await writeHead(sink, headerFor(bytes, { ...common, gdOffset: AT_END, descriptor: true }), descriptorText({ createType: 'streamOptimized', bytes, cid: cidOf(identity), name }));
  await sink.skipTo(GRAIN_BYTES);
  const grains = await writeGrains(source, plan, sink);
  const tables = Math.ceil(plan.count / GTES_PER_GT);
  const places = new Uint32Array(tables);
  for (let table = 0; table < tables; table += 1) {
    const entries = grains.subarray(table * GTES_PER_GT, (table + 1) * GTES_PER_GT);
    if (entries.every((entry) => entry === 0)) continue;
    await sink.write(marker(MARKER.grainTable, TABLE_SECTORS));
    places[table] = checkSector(sink.at / SECTOR);
    await writeTable(sink, { count: GTES_PER_GT, entryBytes: 4 }, (view, at, index) => { view.setUint32(at, entries[index] ?? 0, true); });
  }
  const directorySectors = Math.ceil(tables * 4 / SECTOR);
  await sink.write(marker(MARKER.grainDirectory, directorySectors));
  const gd = checkSector(sink.at / SECTOR);
  await writeTable(sink, { count: tables, entryBytes: 4 }, (view, at, index) => { view.setUint32(at, places[index] as number, true); });
  await sink.skipTo((gd + directorySectors) * SECTOR);
  await sink.write(marker(MARKER.footer, 1));
  await sink.write(headerFor(bytes, { ...common, gdOffset: number64(gd), descriptor: true }));
  await sink.write(marker(MARKER.endOfStream, 0));
}
