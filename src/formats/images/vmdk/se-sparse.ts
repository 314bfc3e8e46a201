/** SEsparse extents, thin snapshots of VMFS-6 (version 2.1). There is no published specification; see `vmdk.layout.ts`. */
import { type BlockSource, FormatError, type Limits, readRange, UnsupportedError } from '../../../core/index.ts';
import { readDirectory } from './directory.ts';
import type { Grain } from './grain-map.ts';
import type { SparseExtent } from './sparse.ts';
import { SE_SPARSE, seSparseLayout, seSparseVolatileLayout } from './vmdk.layout.ts';

const STRUCTURE = seSparseLayout.name;
const SECTOR = 512;
/** Upper half of a directory entry that names a table. */
const TABLE_MARK = 0x1000_0000;

function fault(field: keyof typeof seSparseLayout.offsets, found: number, expected: string): FormatError {
  return new FormatError('Read SEsparse header', { structure: STRUCTURE, field, offset: seSparseLayout.offsets[field], found, expected });
}

/** The state of a grain is in the upper four bits; the number of the grain is cut in two, its lower twelve bits above its others. */
function grainOf(high: number, low: number, grainsAt: number, grainBytes: number): Grain {
  switch (high >>> 28) {
    case 0:
      if (high === 0 && low === 0) return { kind: 'parent' };
      break;
    case 1: return { kind: 'hole' };
    case 2: return { kind: 'zero' };
    case 3: {
      const number = (high >>> 16 & 0xfff) + ((high & 0xffff) * 2 ** 32 + low) * 2 ** 12;
      return { kind: 'data', at: grainsAt + number * grainBytes };
    }
    default:
  }
  throw new FormatError('Map SEsparse grain', { structure: 'VMDK grain table', field: 'entry', found: `0x${high.toString(16)}:${low.toString(16)}`, expected: 'state 0 to 3' });
}

/** @throws {FormatError} @throws {UnsupportedError} when its journal was not replayed. @throws {LimitError} */
export async function openSeSparse(file: BlockSource, limits: Limits): Promise<SparseExtent> {
  const view = seSparseLayout.view(await readRange(file, 0, Math.min(seSparseLayout.size, file.size)));
  if (view.magic !== SE_SPARSE.magic) throw fault('magic', view.magic, String(SE_SPARSE.magic));
  if (view.version !== SE_SPARSE.version) throw new UnsupportedError(`Open SEsparse extent: version '${view.version}', expected '${SE_SPARSE.version}'`);
  const { grain_size: grain, grain_table_size: table, capacity } = view;
  if (grain < 1 || grain > 2 ** 22 || Math.log2(grain) % 1 !== 0) throw fault('grain_size', grain, 'a power of two of sectors, at most 2 GiB');
  if (table < 1 || table > 2 ** 16) throw fault('grain_table_size', table, '1 to 65536 sectors');
  await checkJournal(file, view.volatile_header_offset * SECTOR);
  const entriesPerTable = table * SECTOR / 8;
  const count = Math.ceil(capacity / (grain * entriesPerTable));
  if (count * 8 > view.grain_dir_size * SECTOR) throw fault('grain_dir_size', view.grain_dir_size, `at least ${Math.ceil(count * 8 / SECTOR)} sectors`);
  const tables = await readDirectory(file, limits, {
    at: view.grain_dir_offset * SECTOR, count, entryBytes: 8,
    tableAt(directory, at) {
      const low = directory.getUint32(at, true);
      const high = directory.getUint32(at + 4, true);
      if (high === 0 && low === 0) return 0;
      if (high !== TABLE_MARK) throw new FormatError('Read SEsparse grain directory', { structure: 'VMDK grain directory', field: `entry ${at / 8}`, found: `0x${high.toString(16)}:${low.toString(16)}`, expected: 'a table or 0' });
      return (view.grain_tables_offset + low * table) * SECTOR;
    },
  });
  const grainsAt = view.grains_offset * SECTOR;
  return {
    bytes: capacity * SECTOR, compressed: false, version: 2, descriptor: undefined, remarks: [],
    layout: {
      grainBytes: grain * SECTOR, entriesPerTable, entryBytes: 8, tables, overheadBytes: grainsAt,
      grainAt: (part, at) => grainOf(part.getUint32(at + 4, true), part.getUint32(at, true), grainsAt, grain * SECTOR),
    },
  };
}

async function checkJournal(file: BlockSource, at: number): Promise<void> {
  if (at + seSparseVolatileLayout.size > file.size) throw fault('volatile_header_offset', at / SECTOR, 'inside the file');
  const view = seSparseVolatileLayout.view(await readRange(file, at, seSparseVolatileLayout.size), 0, at);
  if (view.magic !== SE_SPARSE.volatileMagic) {
    throw new FormatError('Read SEsparse header', { structure: seSparseVolatileLayout.name, field: 'magic', offset: at, found: view.magic, expected: String(SE_SPARSE.volatileMagic) });
  }
  if (view.replay_journal !== 0) throw new UnsupportedError('Open SEsparse extent: its journal has to be replayed first, which ESXi does when it opens the disk');
}
