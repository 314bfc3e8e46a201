/** Restore objects, stream 28: plugin data that belongs to a job. Source: Bacula's public plugin API, `restore_object_pkt`. */
import { checkLimit, FormatError, type Limits, textOf } from '../../core/index.ts';
import { decodeZlib } from '../compression/index.ts';
import type { BlockReader } from './block-reader.ts';
import { RecordCursor } from './record-cursor.ts';
import type { SessionIndex } from './session-index.ts';

/** One object; `bytes` is expanded and belongs to the caller. */
export interface RestoreObject {
  readonly fileIndex: number;
  readonly fileType: number;
  readonly objectIndex: number;
  readonly pluginName: string;
  readonly objectName: string;
  readonly bytes: Uint8Array;
}

/**
 * Parses "FileIndex Type Index CompressedLength FullLength Compression PluginName NUL ObjectName NUL" and the data behind it.
 * @throws {FormatError} @throws {LimitError}
 */
export function parseRestoreObject(record: Uint8Array, limits: Limits): RestoreObject {
  const nameEnd = record.indexOf(0);
  const objectEnd = nameEnd < 0 ? -1 : record.indexOf(0, nameEnd + 1);
  const head = textOf(record.subarray(0, Math.max(0, nameEnd)));
  const match = /^(\d{1,10}) (\d{1,4}) (-?\d{1,10}) (\d{1,10}) (\d{1,10}) (\d{1,3}) (.*)$/s.exec(head);
  if (match === null || objectEnd < 0) throw new FormatError('Read restore object', { structure: 'restore_object', field: 'head', found: head.slice(0, 80) });
  const [fileIndex = 0, fileType = 0, objectIndex = 0, stored = 0, full = 0, compression = 0] = match.slice(1, 7).map(Number);
  checkLimit(limits, 'baculaRecordBytesMax', full, 'restore object');
  const data = record.subarray(objectEnd + 1, objectEnd + 1 + stored);
  if (data.length !== stored) throw new FormatError('Read restore object', { structure: 'restore_object', field: 'object_len', found: data.length, expected: stored });
  if (compression > 1) throw new FormatError('Read restore object', { structure: 'restore_object', field: 'compression', found: compression, expected: '0 or 1' });
  const bytes = compression === 1 ? decodeZlib(data, full) : data.slice();
  if (bytes.length !== full) throw new FormatError('Read restore object', { structure: 'restore_object', field: 'object_full_len', found: bytes.length, expected: full });
  return { fileIndex, fileType, objectIndex, pluginName: match[7] ?? '', objectName: textOf(record.subarray(nameEnd + 1, objectEnd)), bytes };
}

/** All restore objects of a job. @throws {FormatError} @throws {IntegrityError} @throws {LimitError} */
export async function readRestoreObjects(session: SessionIndex, reader: BlockReader, limits: Limits): Promise<readonly RestoreObject[]> {
  const objects: RestoreObject[] = [];
  for (const place of session.objects) {
    const cursor = new RecordCursor(session, reader, limits, place);
    const record = await cursor.next();
    if (record !== undefined) objects.push(parseRestoreObject(record.bytes, limits));
    cursor.release();
  }
  return objects;
}
