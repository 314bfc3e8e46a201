/** Listings of a bucket, page by page. An answer that is not surely a whole page is an error: what is missing in a listing would be garbage to GC. */
import { FormatError, ProtocolError, type ObjectRow } from '../../../core/index.ts';
import { daysOfDate } from '../../retention/calendar.ts';
import type { HttpAnswer } from './connection.ts';
import type { S3Client, S3Request } from './client.ts';
import { isObjectName } from './location.ts';
import { childText, parseXml, type XmlElement } from './xml.ts';

interface Page {
  readonly rows: readonly { readonly key: string; readonly size: number; readonly modified: number }[];
  /** Where the next page begins; undefined at the end. */
  readonly next?: string;
}

/** Milliseconds since 1970 of `2009-10-12T17:50:30.000Z`; NaN when it is no such time. */
export function parseTime(text: string): number {
  const [, ...parts] = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  if (parts.length === 0) return Number.NaN;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(0, 6).map(Number);
  const milliseconds = Math.floor(Number(`0.${parts[6] ?? '0'}`) * 1000);
  return (((daysOfDate({ year, month: month - 1, day }) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds;
}

function keyOf(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    return text; // some other program's object
  }
}

function rowOf(contents: XmlElement): Page['rows'][number] {
  const [key, size, modified] = ['Key', 'Size', 'LastModified'].map((name) => childText(contents, name) ?? '') as [string, string, string];
  const row = { key: keyOf(key), size: Number(size), modified: parseTime(modified) };
  if (key === '' || !/^\d+$/.test(size) || !Number.isSafeInteger(row.size) || Number.isNaN(row.modified)) {
    throw new ProtocolError(`a row has key '${key.slice(0, 100)}', size '${size}', time '${modified}'`);
  }
  return row;
}

function pageOf(answer: HttpAnswer): Page {
  const root = parseXml(answer.body);
  const rows = root.children.filter((child) => child.name === 'Contents').map(rowOf);
  const [truncated, count, next] = ['IsTruncated', 'KeyCount', 'NextContinuationToken'].map((name) => childText(root, name));
  if (root.name !== 'ListBucketResult' || truncated !== 'true' && truncated !== 'false') throw new ProtocolError(`it is '${root.name}', IsTruncated '${truncated}'`);
  if (count !== undefined && Number(count) !== rows.length) throw new ProtocolError(`it holds '${rows.length}' rows, KeyCount is '${count}'`);
  if (truncated === 'false') return { rows };
  if (next === undefined || next === '' || rows.length === 0) throw new ProtocolError('it is truncated and says not where to go on');
  return { rows, next };
}

/** See `ObjectStore.list`. Keys that are no names of this store are left out: they are other programs'. */
export async function* listObjects(client: S3Client, directory: string): AsyncGenerator<readonly ObjectRow[]> {
  const prefix = client.prefix + (directory === '' ? '' : `${directory}/`);
  let next: string | undefined;
  let before = '';
  do {
    const query: Record<string, string> = { 'list-type': '2', 'encoding-type': 'url', 'max-keys': String(client.tuning.pageRows), prefix };
    if (next !== undefined) query['continuation-token'] = next;
    const request: S3Request = { method: 'GET', query };
    const outcome = await client.send(request);
    if (outcome.status !== 200 || !('body' in outcome.last)) throw client.failure(request, outcome);
    const found: ObjectRow[] = [];
    try {
      const page = pageOf(outcome.last);
      next = page.next;
      for (const { key, size, modified } of page.rows) {
        if (!key.startsWith(prefix) || Buffer.compare(Buffer.from(before), Buffer.from(key)) >= 0) throw new ProtocolError(`'${key}' comes after '${before}', below '${prefix}'`);
        before = key;
        const name = key.slice(client.prefix.length);
        if (isObjectName(name)) found.push({ name, size, modified });
      }
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof FormatError)) throw error;
      throw new ProtocolError(`List '${client.place}/${directory}': the answer is no page of a listing in order of names: ${error.message}`, {}, error);
    }
    if (found.length > 0) yield found;
  } while (next !== undefined);
}
