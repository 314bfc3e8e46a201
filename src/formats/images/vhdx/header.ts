/** Headers and region tables of a VHDX file: two copies each. Source: [MS-VHDX], sections 2.2.2 and 2.2.3. */
import { type BlockSource, crc32c, equalBytes, FormatError, readRange, UnsupportedError, utf8 } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import { GUID, HEADER_BYTES, headerLayout, PLACE, REGION_TABLE_BYTES, regionLayout, regionTableLayout } from './vhdx.layout.ts';

/** The header that counts. */
export interface VhdxHeader {
  readonly version: number;
  /** What a child names this file by. */
  readonly dataWriteGuid: string;
  /** `GUID.none` when there is nothing to replay. */
  readonly logGuid: string;
  readonly log: { readonly offset: number; readonly length: number };
  readonly remarks: readonly string[];
}

/** Part of the file with one purpose. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

/** The two regions that every file has. */
export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
}

const REGION_ENTRIES_MAX = 2047;

/** CRC-32C over bytes whose own field at byte 4 counts as zero. */
export function checksumHolds(bytes: Uint8Array, stored: number): boolean {
  return crc32c(bytes.subarray(8), crc32c(new Uint8Array(4), crc32c(bytes.subarray(0, 4)))) === stored;
}

async function headerAt(file: BlockSource, at: number): Promise<ReturnType<typeof headerLayout.view> | undefined> {
  const bytes = await readRange(file, at, HEADER_BYTES);
  const view = headerLayout.view(bytes, 0, at);
  return equalBytes(view.Signature, utf8('head')) && checksumHolds(bytes, view.Checksum) ? view : undefined;
}

/** @throws {FormatError} when neither copy holds. @throws {UnsupportedError} */
export async function readVhdxHeader(file: BlockSource): Promise<VhdxHeader> {
  if (file.size < PLACE.end) throw new FormatError('Read VHDX header', { structure: headerLayout.name, field: 'size', found: file.size, expected: `at least ${PLACE.end} bytes in the file` });
  const first = await headerAt(file, PLACE.header1);
  const second = await headerAt(file, PLACE.header2);
  const newer = first !== undefined && second !== undefined ? (sequence(second.SequenceNumber) > sequence(first.SequenceNumber) ? second : first) : first ?? second;
  if (newer === undefined) throw new FormatError('Read VHDX header', { structure: headerLayout.name, field: 'Checksum', offset: PLACE.header1, expected: 'a checksum that holds, here or in the second copy' });
  if (newer.Version !== 1) throw new UnsupportedError(`Open VHDX image: version '${newer.Version}', expected 1`);
  const logGuid = guidText(newer.LogGuid);
  if (logGuid !== GUID.none && newer.LogVersion !== 0) throw new UnsupportedError(`Open VHDX image: log version '${newer.LogVersion}', expected 0`);
  return {
    version: newer.Version, dataWriteGuid: guidText(newer.DataWriteGuid), logGuid, log: { offset: newer.LogOffset, length: newer.LogLength },
    remarks: first === undefined || second === undefined ? ['one of its two headers is not sound: normal when it was written to while it was copied'] : [],
  };
}

function sequence(bytes: Uint8Array): bigint {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 8).readBigUInt64LE(0);
}

type Table = ReadonlyMap<string, Region>;

function fault(field: string, at: number, found: string | number, expected: string): FormatError {
  return new FormatError('Read VHDX region table', { structure: regionTableLayout.name, field, offset: at, found, expected });
}

async function regionTableAt(file: BlockSource, at: number): Promise<Table> {
  const bytes = await readRange(file, at, REGION_TABLE_BYTES);
  const head = regionTableLayout.view(bytes, 0, at);
  if (!equalBytes(head.Signature, utf8('regi'))) throw fault('Signature', at, Buffer.from(head.Signature).toString('latin1'), 'regi');
  if (head.EntryCount > REGION_ENTRIES_MAX) throw fault('EntryCount', at + 8, head.EntryCount, `at most ${REGION_ENTRIES_MAX}`);
  if (!checksumHolds(bytes, head.Checksum)) throw fault('Checksum', at + 4, head.Checksum, 'that of the table');
  const found = new Map<string, Region>();
  for (let i = 0; i < head.EntryCount; i += 1) {
    const entryAt = regionTableLayout.size + i * regionLayout.size;
    const entry = regionLayout.view(bytes, entryAt, at + entryAt);
    const guid = guidText(entry.Guid);
    const { FileOffset: offset, Length: length } = entry;
    if (guid !== GUID.bat && guid !== GUID.metadata) {
      if ((entry.Required & 1) !== 0) throw new UnsupportedError(`Open VHDX image: region '${guid}' is required and not known`);
      continue;
    }
    if (offset < PLACE.end || offset + length > file.size) throw fault('FileOffset', at + entryAt + 16, offset, `at least ${PLACE.end}, and ${length} bytes before the end '${file.size}' of the file`);
    found.set(guid, { offset, length });
  }
  return found;
}

/** @throws {FormatError} when neither copy holds. @throws {UnsupportedError} */
export async function readRegions(file: BlockSource): Promise<Regions> {
  let table: Table;
  try {
    table = await regionTableAt(file, PLACE.region1);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // The first table's error tells more than that of a second one that was never written.
    table = await regionTableAt(file, PLACE.region2).catch(() => Promise.reject(error));
  }
  const bat = table.get(GUID.bat);
  const metadata = table.get(GUID.metadata);
  if (bat === undefined || metadata === undefined) throw fault('Guid', PLACE.region1, bat === undefined ? 'no BAT' : 'no metadata', 'both regions');
  return { bat, metadata };
}
