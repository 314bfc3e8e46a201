/** The reader of exFAT, and of TexFAT as it was left. Source: Microsoft, exFAT file system specification; what that leaves open is as in Linux. */
import { FormatError, HoldfastError, readRange, textOf, type BlockSource, type Limits, type ProbeVerdict } from '../../../core/index.ts';
import { followChain } from '../fat/cluster-runs.ts';
import { ClusterSpace } from '../fat/cluster-space.ts';
import { ClusterTable } from '../fat/cluster-table.ts';
import { ProblemList } from '../problem-list.ts';
import { wtf8 } from '../wtf8.ts';
import { guidText } from '../../mapping/guid.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver } from '../filesystem.ts';
import { BOOT_BYTES, type ExfatGeometry, isExfat, locateVolume } from './boot-region.ts';
import { clustersOf, DIRECTORY_BYTES_MAX, ExfatFilesystem, type ExfatParts } from './exfat-filesystem.ts';
import { ENTRY, tableLayout } from './exfat.layout.ts';
import { scanSets } from './set-scan.ts';
import { readUpcaseTable, UPCASE_BYTES_MAX } from './upcase-table.ts';

const LABEL_UNITS_MAX = 11;
const LABEL_UNITS_AT = 2;
const GUID_AT = 6;

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  try {
    if (source.size < BOOT_BYTES || !isExfat(await readRange(source, 0, BOOT_BYTES))) return { match: 'no' };
    await locateVolume(source);
    return { match: 'yes', version: 'exFAT' };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { match: 'damaged', reason: error.message };
  }
}

/** What the root directory says about the volume. */
interface RootFacts {
  label?: string;
  guid?: string;
  readonly tables: Map<number, { readonly at: number; readonly bytes: Uint8Array }>;
}

function labelOf(entry: Uint8Array): string {
  const view = new DataView(entry.buffer, entry.byteOffset);
  const length = Math.min(LABEL_UNITS_MAX, entry[1] as number);
  return textOf(wtf8(Uint16Array.from({ length }, (_, i) => view.getUint16(LABEL_UNITS_AT + 2 * i, true)), length));
}

async function readRootFacts(parts: Pick<ExfatParts, 'space' | 'root' | 'geometry'>): Promise<RootFacts> {
  const { space, root, geometry } = parts;
  const facts: RootFacts = { tables: new Map() };
  for await (const found of scanSets(space, space.spans(root))) {
    for (const one of found) {
      if (one.kind !== 'other') continue;
      const type = one.bytes[0] as number;
      if (type === ENTRY.label && (one.bytes[1] as number) > 0) facts.label = labelOf(one.bytes);
      else if (type === ENTRY.guid) facts.guid = guidText(one.bytes.subarray(GUID_AT, GUID_AT + 16));
      else if (type === ENTRY.upcase) facts.tables.set(type, one);
      else if (type === ENTRY.bitmap && ((one.bytes[1] as number) & 1) === (geometry.secondTable ? 1 : 0)) facts.tables.set(type, one);
    }
  }
  return facts;
}

type TableParts = Pick<ExfatParts, 'space' | 'table' | 'limits' | 'geometry'>;

/** The table at `entry`, whole, or its first bytes. @throws {FormatError} when it cannot be found, or is not of that size. */
async function readTable(found: { readonly at: number; readonly bytes: Uint8Array } | undefined, parts: TableParts, { field, min, max, read }: { readonly field: string; readonly min: number; readonly max: number; readonly read: number }): Promise<Uint8Array> {
  if (found === undefined) throw new FormatError('Read exFAT root directory', { structure: 'exFAT root directory', field, found: 'none', expected: 'an entry' });
  const entry = tableLayout.view(found.bytes, 0, found.at);
  const size = entry.DataLength;
  if (size < min || size > max) throw new FormatError('Read exFAT root directory', { structure: 'exFAT root directory', field: `${field} DataLength`, offset: found.at, found: size, expected: `${min} to ${max}` });
  const runs = await clustersOf({ cluster: entry.FirstCluster, size, contiguous: false, at: found.at }, parts);
  return readRange(parts.space.content(runs, { size, validBytes: size }), 0, Math.min(size, read));
}

/** Reads both tables that the volume needs for writing; reading does without them, so that damage to them is a remark. */
async function readTables({ tables }: RootFacts, parts: TableParts, remarks: string[]): Promise<Uint16Array | undefined> {
  const clusters = parts.geometry.lastCluster - 1;
  try {
    await readTable(tables.get(ENTRY.bitmap), parts, { field: 'allocation bitmap', min: Math.ceil(clusters / 8), max: Number.MAX_SAFE_INTEGER, read: 1 });
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    remarks.push(`the allocation bitmap is damaged: ${error.message}`);
  }
  try {
    const found = tables.get(ENTRY.upcase);
    const bytes = await readTable(found, parts, { field: 'up-case table', min: 2, max: UPCASE_BYTES_MAX, read: UPCASE_BYTES_MAX });
    const { buffer, byteOffset } = (found as { readonly bytes: Uint8Array }).bytes;
    return readUpcaseTable(bytes, new DataView(buffer, byteOffset).getUint32(4, true));
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    remarks.push(`the up-case table is damaged, so that hashes of names are not compared: ${error.message}`);
    return undefined;
  }
}

function tableOf(source: BlockSource, { tableAt, lastCluster }: ExfatGeometry, limits: Limits): ClusterTable {
  return new ClusterTable(source, { at: tableAt, bits: 32, mask: 0xffff_ffff, lastCluster, structure: 'FAT' }, limits.filesystemCacheBytesMax / 4);
}

async function open(sources: readonly BlockSource[], { limits }: FilesystemContext): Promise<Filesystem> {
  const source = sources[0] as BlockSource;
  const { geometry, remarks } = await locateVolume(source);
  if (geometry.heapAt > source.size) throw new FormatError('Open exFAT volume', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${geometry.heapAt}: clusters begin there` });
  if (geometry.size > source.size) remarks.push(`the volume is cut: it has ${geometry.size} bytes and ${source.size} are here`);
  if (geometry.texfat) remarks.push(`TexFAT: the ${geometry.secondTable ? 'second' : 'first'} table is in use`);
  const table = tableOf(source, geometry, limits);
  const space = new ClusterSpace(source, { heapAt: geometry.heapAt, clusterBytes: geometry.clusterBytes, budget: limits.filesystemCacheBytesMax / 4 });
  const root = await followChain(table, { first: geometry.rootCluster, clusterBytes: geometry.clusterBytes, entryAt: 0, limits: { ...limits, filesystemListBytesMax: DIRECTORY_BYTES_MAX } });
  const found = await readRootFacts({ space, root, geometry });
  const upcase = await readTables(found, { space, table, limits, geometry }, remarks);
  if (found.guid !== undefined) remarks.push(`the volume's GUID is ${found.guid}`);
  const { serial } = geometry;
  return new ExfatFilesystem(source, {
    geometry, limits, space, table, upcase, root, problems: new ProblemList(),
    facts: {
      format: 'exfat', version: 'exFAT', size: geometry.size, blockBytes: geometry.clusterBytes, clean: geometry.clean, remarks,
      uuid: serial.toString(16).toUpperCase().padStart(8, '0').replace(/^(.{4})/, '$1-'), ...(found.label === undefined ? {} : { label: found.label }),
    },
  });
}

/** exFAT. */
export const exfatDriver: FilesystemDriver = { name: 'exfat', probe, open };
