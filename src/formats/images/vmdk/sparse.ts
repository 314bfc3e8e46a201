/** Hosted sparse and stream-optimised extents. Source: VMware, "Virtual Disk Format 5.0", "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents". */
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { type BlockSource, checkLimit, FormatError, type Limits, readRange, UnsupportedError } from '../../../core/index.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';
import type { GrainLayout } from './grain-map.ts';
import { readDirectory } from './directory.ts';
import { COMPRESSION_DEFLATE, GRAIN_ZERO, grainMarkerLayout, GTES_PER_GT, MAGIC, MARKER, SPARSE_FLAG, sparseLayout } from './vmdk.layout.ts';

const unzip = promisify(inflate);
const STRUCTURE = sparseLayout.name;
const SECTOR = 512;
const UNPACKED_BYTES = 4 << 20;
const GD_AT_END = 0xffff_ffff_ffff_ffffn;

/** An extent that was opened, with its embedded descriptor. */
export interface SparseExtent {
  readonly bytes: number;
  readonly layout: GrainLayout;
  readonly descriptor: Uint8Array | undefined;
  readonly compressed: boolean;
  readonly version: number;
  readonly remarks: readonly string[];
}

function fault(field: string, offset: number, found: string | number, expected: string): FormatError {
  return new FormatError('Read VMDK sparse header', { structure: STRUCTURE, field, offset, found, expected });
}

type HeaderView = ReturnType<typeof sparseLayout.view>;

function directoryOffset(view: HeaderView): bigint {
  return Buffer.from(view.gdOffset).readBigUInt64LE(0);
}

async function headerAt(file: BlockSource, at: number): Promise<HeaderView> {
  const view = sparseLayout.view(await readRange(file, at, Math.min(sparseLayout.size, file.size - at)), 0, at);
  if (Buffer.from(view.magicNumber).toString('latin1') !== MAGIC.sparse) throw fault('magicNumber', at, Buffer.from(view.magicNumber).toString('latin1'), MAGIC.sparse);
  if (view.version < 1 || view.version > 3) throw new UnsupportedError(`Open VMDK extent: version '${view.version}', expected 1 to 3`);
  return view;
}

/** A stream has its directory's place in a copy of the header at its end: marker, copy, end of stream. */
async function footerOf(file: BlockSource): Promise<HeaderView> {
  const at = file.size - 2 * SECTOR;
  if (at < 2 * SECTOR) throw fault('gdOffset', 0, file.size, 'a footer at the end of the file');
  const marker = await readRange(file, at - SECTOR, SECTOR);
  const type = Buffer.from(marker).readUInt32LE(grainMarkerLayout.size);
  if (grainMarkerLayout.view(marker).size !== 0 || type !== MARKER.footer) throw fault('footer marker', at - SECTOR, type, `${MARKER.footer}: the end of the stream is missing`);
  const footer = await headerAt(file, at);
  if (directoryOffset(footer) === GD_AT_END) throw fault('gdOffset', at, 'at end', 'a sector in the footer');
  return footer;
}

/** Text mode transfers change line ends: these four bytes show it. */
function checkLineEnds(view: HeaderView): void {
  if ((view.flags & SPARSE_FLAG.newLineTest) === 0) return;
  const found = Buffer.from([view.singleEndLineChar, view.nonEndLineChar, view.doubleEndLineChar1, view.doubleEndLineChar2]).toString('hex');
  if (found !== '0a200d0a') throw fault('singleEndLineChar', sparseLayout.offsets.singleEndLineChar, found, '0a200d0a: the file was transferred as text');
}

function unpacker(file: BlockSource, grainBytes: number, diskBytes: number): (at: number, lba: number) => Promise<Uint8Array> {
  const cache = new UnitCache(grainBytes, UNPACKED_BYTES);
  const wrong = (field: string, offset: number, found: string | number, expected: string): FormatError =>
    new FormatError('Unpack VMDK grain', { structure: grainMarkerLayout.name, field, offset, found, expected });
  const load = async (at: number, lba: number): Promise<Uint8Array> => {
    const marker = grainMarkerLayout.view(await readRange(file, at, Math.min(grainMarkerLayout.size, file.size - at)), 0, at);
    if (marker.lba !== lba) throw wrong('lba', at, marker.lba, String(lba));
    const start = at + grainMarkerLayout.size;
    // Deflate adds a few bytes to what cannot be compressed: twice the grain is more than any encoder needs.
    if (marker.size === 0 || marker.size > 2 * grainBytes || start + marker.size > file.size) throw wrong('size', at + 8, marker.size, `1 to ${Math.min(2 * grainBytes, file.size - start)}`);
    let unit: Uint8Array;
    try {
      unit = await unzip(await readRange(file, start, marker.size), { maxOutputLength: grainBytes });
    } catch (error) {
      throw wrong('data', start, (error as NodeJS.ErrnoException).code ?? 'unknown', `a zlib stream of ${grainBytes} bytes`);
    }
    const wanted = Math.min(grainBytes, diskBytes - lba * SECTOR);
    if (unit.length < wanted) throw wrong('data', start, unit.length, `${wanted} bytes`);
    return unit;
  };
  return (at, lba) => cache.get(at, () => load(at, lba));
}

function checkGeometry(view: HeaderView): void {
  if (view.numGTEsPerGT !== GTES_PER_GT) throw fault('numGTEsPerGT', sparseLayout.offsets.numGTEsPerGT, view.numGTEsPerGT, String(GTES_PER_GT));
  const grain = view.grainSize;
  if (grain < 1 || grain > 2 ** 22 || Math.log2(grain) % 1 !== 0) throw fault('grainSize', sparseLayout.offsets.grainSize, grain, 'a power of two of sectors, at most 2 GiB');
}

/** Room for a descriptor may be empty: the extent is one of several, and the descriptor a file of its own. */
async function readDescriptor(file: BlockSource, at: number, length: number): Promise<Uint8Array | undefined> {
  if (at === 0 || length === 0) return undefined;
  const bytes = await readRange(file, at, length);
  return bytes[0] === 0 ? undefined : bytes;
}

/** @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
export async function openSparse(file: BlockSource, limits: Limits): Promise<SparseExtent> {
  const head = await headerAt(file, 0);
  checkLineEnds(head);
  const atEnd = directoryOffset(head) === GD_AT_END;
  const view = atEnd ? await footerOf(file) : head;
  checkGeometry(view);
  const { capacity, grainSize, flags } = view;
  const bytes = capacity * SECTOR;
  const grainBytes = grainSize * SECTOR;
  const compressed = (flags & SPARSE_FLAG.compressed) !== 0;
  if (compressed && view.compressAlgorithm !== COMPRESSION_DEFLATE) throw new UnsupportedError(`Open VMDK extent: compression '${view.compressAlgorithm}' is not known`);
  if (compressed) checkLimit(limits, 'imageUnitBytesMax', grainBytes, 'VMDK sparse header.grainSize');
  const tables = await readDirectory(file, limits, {
    at: Number(directoryOffset(view)) * SECTOR, count: Math.ceil(capacity / (grainSize * GTES_PER_GT)), entryBytes: 4,
    tableAt: (directory, at) => directory.getUint32(at, true) * SECTOR,
  });
  const zeroes = (flags & SPARSE_FLAG.zeroedGrains) !== 0;
  checkLimit(limits, 'imageTextBytesMax', head.descriptorSize * SECTOR, 'VMDK sparse header.descriptorSize');
  const descriptorAt = head.descriptorOffset * SECTOR;
  if (head.descriptorOffset > 0 && descriptorAt + head.descriptorSize * SECTOR > file.size) throw fault('descriptorOffset', sparseLayout.offsets.descriptorOffset, head.descriptorOffset, 'inside the file');
  return {
    bytes, compressed, version: view.version, remarks: head.uncleanShutdown === 0 ? [] : ['it was not closed properly'],
    descriptor: await readDescriptor(file, descriptorAt, head.descriptorSize * SECTOR),
    layout: {
      grainBytes, entriesPerTable: GTES_PER_GT, entryBytes: 4, tables, overheadBytes: view.overHead * SECTOR,
      grainAt(part, at) {
        const entry = part.getUint32(at, true);
        if (entry === 0) return { kind: 'parent' };
        if (entry === GRAIN_ZERO && zeroes) return { kind: 'zero' };
        return { kind: 'data', at: entry * SECTOR };
      },
      ...(compressed ? { unpack: unpacker(file, grainBytes, bytes) } : {}),
    },
  };
}
