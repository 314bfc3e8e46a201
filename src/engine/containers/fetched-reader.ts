/**
 * Parts of an object fetched ahead, many at a time. Where each request costs milliseconds, heads and tables of a container's groups are asked for
 * together; whoever reads them one by one finds them here.
 */
import { inParallel, type Limits, type ObjectReader } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from './container.layout.ts';
import { readFooter } from './footer.ts';
import { GROUP_HEADER_BYTES } from './group.ts';

/** A part of an object, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Requests for one object at a time. */
const REQUESTS_MAX = 8;
/** What lies between two parts is fetched too when it is not more: a request takes as long as so many bytes. */
const GAP_BYTES = 64 << 10;
/** One request, so that several can share the way. */
const REQUEST_BYTES_MAX = 4 << 20;
/** The footer is in the last of them. */
const TAIL_BYTES = 32 << 10;
/** What is kept in memory; a container is some 32 MiB. */
const FETCHED_BYTES_MAX = 48 << 20;

/** Parts in ascending order, near ones joined, large ones cut, what leaves the object left out. */
function requestsFor(ranges: readonly ByteRange[], size: number): readonly ByteRange[] {
  const joined: { offset: number; length: number }[] = [];
  for (const { offset, length } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    const end = Math.min(size, offset + length);
    if (end <= offset) continue;
    const last = joined.at(-1);
    if (last !== undefined && offset <= last.offset + last.length + GAP_BYTES) last.length = Math.max(last.length, end - last.offset);
    else joined.push({ offset, length: end - offset });
  }
  return joined.flatMap(({ offset, length }) => Array.from({ length: Math.ceil(length / REQUEST_BYTES_MAX) }, (_, i) => {
    const start = i * REQUEST_BYTES_MAX;
    return { offset: offset + start, length: Math.min(REQUEST_BYTES_MAX, length - start) };
  }));
}

/** An object of which parts are in memory; the rest is read as ever. Closing it closes the object. */
export class FetchedReader implements ObjectReader {
  readonly size: number;
  readonly #reader: ObjectReader;
  readonly #parts: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  constructor(reader: ObjectReader) {
    this.#reader = reader;
    this.size = reader.size;
  }

  /** Fetches parts; more than is kept in memory is not fetched at all. @throws what reading throws. */
  async fetch(ranges: readonly ByteRange[]): Promise<void> {
    const requests = requestsFor(ranges, this.size);
    if (requests.reduce((sum, { length }) => sum + length, 0) > FETCHED_BYTES_MAX) return;
    await inParallel(requests, REQUESTS_MAX, async ({ offset, length }) => {
      const bytes = new Uint8Array(length);
      await this.#reader.readInto(offset, bytes);
      this.#parts.push({ offset, bytes });
    });
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.size) return this.#reader.readInto(offset, target); // says what is wrong, also where nothing is read
    for (let done = 0; done < target.length;) {
      const at = offset + done;
      const part = this.#parts.find((one) => at >= one.offset && at < one.offset + one.bytes.length);
      if (part === undefined) return this.#reader.readInto(at, target.subarray(done));
      const found = part.bytes.subarray(at - part.offset, at - part.offset + target.length - done);
      target.set(found, done);
      done += found.length;
    }
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

/** A container with its footer, and the heads and tables of the groups that it names, in memory. Takes the reader over. */
export async function fetchTables(reader: ObjectReader, limits: Limits): Promise<ObjectReader> {
  const fetched = new FetchedReader(reader);
  const tail = Math.max(0, reader.size - TAIL_BYTES);
  await fetched.fetch([{ offset: tail, length: reader.size - tail }]);
  const rows = await readFooter(fetched, limits).catch(() => []); // whoever reads it next says what is wrong
  await fetched.fetch((rows ?? []).map((row) => ({ offset: row.offset, length: Math.min(row.length, GROUP_HEADER_BYTES + row.chunkCount * TABLE_ROW_BYTES) })));
  return fetched;
}
