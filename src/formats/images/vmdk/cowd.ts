/** COWD extents (`VMFSSPARSE`), redo logs of ESX. Source: VMware, "Virtual Disk Format 5.0", "ESX Server Sparse Extents". */
import { type BlockSource, FormatError, type Limits, readRange, UnsupportedError } from '../../../core/index.ts';
import { readDirectory } from './directory.ts';
import type { SparseExtent } from './sparse.ts';
import { COWD_GTES_PER_GT, cowdLayout } from './vmdk.layout.ts';

const SECTOR = 512;
/** The header with its names and descriptions. */
const HEADER_BYTES = 2048;

/** @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
export async function openCowd(file: BlockSource, limits: Limits): Promise<SparseExtent> {
  const view = cowdLayout.view(await readRange(file, 0, Math.min(cowdLayout.size, file.size)));
  if (view.version !== 1) throw new UnsupportedError(`Open COWD extent: version '${view.version}', expected 1`);
  const { numSectors, grainSize, numGDEntries } = view;
  const needed = Math.ceil(numSectors / (grainSize * COWD_GTES_PER_GT));
  if (grainSize < 1 || grainSize > 2 ** 22 || Math.log2(grainSize) % 1 !== 0) {
    throw new FormatError('Read COWD header', { structure: cowdLayout.name, field: 'grainSize', offset: cowdLayout.offsets.grainSize, found: grainSize, expected: 'a power of two of sectors, at most 2 GiB' });
  }
  if (numGDEntries < needed) throw new FormatError('Read COWD header', { structure: cowdLayout.name, field: 'numGDEntries', offset: cowdLayout.offsets.numGDEntries, found: numGDEntries, expected: `at least ${needed}` });
  const tables = await readDirectory(file, limits, { at: view.gdOffset * SECTOR, count: needed, entryBytes: 4, tableAt: (directory, at) => directory.getUint32(at, true) * SECTOR });
  return {
    bytes: numSectors * SECTOR, compressed: false, version: view.version, descriptor: undefined, remarks: [],
    layout: {
      grainBytes: grainSize * SECTOR, entriesPerTable: COWD_GTES_PER_GT, entryBytes: 4, tables, overheadBytes: HEADER_BYTES,
      grainAt(part, at) {
        const entry = part.getUint32(at, true);
        return entry === 0 ? { kind: 'parent' } : { kind: 'data', at: entry * SECTOR };
      },
    },
  };
}
