/** The directory of an extent's grain tables, held in memory: one entry maps tens of megabytes. */
import { type BlockSource, checkLimit, FormatError, type Limits, readRange } from '../../../core/index.ts';

/** Where a directory is, and how its entries name tables. */
export interface DirectoryPlace {
  /** Offset in bytes. */
  readonly at: number;
  readonly count: number;
  readonly entryBytes: number;
  /** Offset of the table of the entry at byte `at` of the directory, 0 for none. @throws {FormatError} */
  tableAt(directory: DataView, at: number): number;
}

/** Offsets of all tables. @throws {FormatError} @throws {LimitError} */
export async function readDirectory(file: BlockSource, limits: Limits, place: DirectoryPlace): Promise<Float64Array> {
  const bytes = place.count * place.entryBytes;
  checkLimit(limits, 'imageDirectoryBytesMax', bytes, 'VMDK grain directory');
  const fault = (field: string, found: number, expected: string): FormatError => new FormatError('Read VMDK grain directory', { structure: 'VMDK grain directory', field, offset: place.at, found, expected });
  if (place.at < 512 || place.at + bytes > file.size) throw fault('offset', place.at, `behind the header, and ${bytes} bytes before the end '${file.size}' of the file`);
  const directory = await readRange(file, place.at, bytes);
  const view = new DataView(directory.buffer, directory.byteOffset, directory.byteLength);
  const tables = new Float64Array(place.count);
  for (let i = 0; i < place.count; i += 1) {
    const table = place.tableAt(view, i * place.entryBytes);
    if (table !== 0 && (table < 512 || table >= file.size)) throw fault(`entry ${i}`, table, `behind the header and before the end '${file.size}' of the file`);
    tables[i] = table;
  }
  return tables;
}
