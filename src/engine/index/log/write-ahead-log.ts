/**
 * The write-ahead log: batches that are not in a segment yet. Appending does not sync: a crash may tear the tail, which
 * ends the log at the last batch that is whole, an older state. A batch's checksum covers its position and the log's
 * number, so that bytes of another log or place are never taken for a batch.
 */
import { crc32c } from '../../../core/crc32c.ts';
import { ID_BYTES, IntegrityError, NotFoundError, PLACE_BYTES, UsageError } from '../../../core/index.ts';
import type { Disk, DiskFile, IdBatch, Watermark } from '../../../core/index.ts';
import { batchHeader, LOG_VERSION, logFileName, logHeader, MAGIC, MARK_BYTES } from './log.layout.ts';
import { decodeMarks, encodeMarks } from './marks.ts';
import { hasMagic } from './page.ts';

/** Bytes of one batch at most: more than a million ids. */
const BATCH_BYTES_MAX = 64 << 20;

/** What one batch holds. `places` belong to `puts`. */
export interface Batch {
  readonly puts: IdBatch;
  readonly places: Uint8Array;
  readonly deletes: IdBatch;
  readonly marks: readonly Watermark[];
}

type BatchCounts = { readonly puts: number; readonly deletes: number; readonly marks: number };

function bodyBytes(counts: BatchCounts): number {
  return counts.puts * (ID_BYTES + PLACE_BYTES) + counts.deletes * ID_BYTES + counts.marks * MARK_BYTES;
}

function headerOf(counts: BatchCounts, position: number, log: number): Uint8Array {
  return batchHeader.encode({ ...counts, position, log, crc: 0 });
}

function checksum(header: Uint8Array, parts: readonly Uint8Array[]): number {
  return parts.reduce((crc, part) => crc32c(part, crc), crc32c(header.subarray(0, batchHeader.offsets.crc)));
}

/** A log open for appending. A failed append or sync is final for the whole index. */
export class WriteAheadLog {
  readonly #file: DiskFile;
  readonly #log: number;
  #position: number;

  /** @param position where the next batch goes: the end of what {@link replayLog} accepted. */
  constructor(file: DiskFile, log: number, position: number) {
    this.#file = file;
    this.#log = log;
    this.#position = position;
  }

  /** Creates an empty log whose header is durable; its name is not yet. */
  static async create(disk: Disk, log: number): Promise<WriteAheadLog> {
    const file = await disk.create(logFileName('wal', log));
    const header = logHeader.encode({ magic: MAGIC.log, version: LOG_VERSION, zero: 0, log, crc: 0 });
    new DataView(header.buffer).setUint32(logHeader.offsets.crc, crc32c(header.subarray(0, logHeader.offsets.crc)));
    await file.writeFrom(0, header);
    await file.sync();
    return new WriteAheadLog(file, log, header.length);
  }

  get number(): number {
    return this.#log;
  }

  /** @throws {UsageError} the batch exceeds 64 MiB; nothing was written. */
  async append(batch: Batch): Promise<void> {
    const counts = { puts: batch.puts.count, deletes: batch.deletes.count, marks: batch.marks.length };
    if (bodyBytes(counts) > BATCH_BYTES_MAX) {
      throw new UsageError(`Add to chunk index: a batch of '${bodyBytes(counts)}' bytes exceeds '${BATCH_BYTES_MAX}'; split it`);
    }
    const header = headerOf(counts, this.#position, this.#log);
    const parts = [
      batch.puts.bytes.subarray(0, counts.puts * ID_BYTES), batch.places.subarray(0, counts.puts * PLACE_BYTES),
      batch.deletes.bytes.subarray(0, counts.deletes * ID_BYTES), encodeMarks(batch.marks),
    ].filter((part) => part.length > 0);
    new DataView(header.buffer).setUint32(batchHeader.offsets.crc, checksum(header, parts));
    await this.#file.writeFrom(this.#position, header, ...parts);
    this.#position += header.length + bodyBytes(counts);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readBatch(file: DiskFile, log: number, position: number): Promise<{ readonly batch: Batch; readonly end: number } | undefined> {
  if (position + batchHeader.size > file.size) return undefined;
  const header = new Uint8Array(batchHeader.size);
  await file.readInto(position, header);
  const { puts, deletes, marks, crc } = batchHeader.view(header);
  const length = bodyBytes({ puts, deletes, marks });
  if (length > BATCH_BYTES_MAX || position + header.length + length > file.size) return undefined;
  const body = new Uint8Array(length);
  await file.readInto(position + header.length, body);
  // The header is made anew from where we are, so that a batch at another position or of another log does not match.
  const expected = headerOf({ puts, deletes, marks }, position, log);
  if (checksum(expected, [body]) !== crc) return undefined;
  const placesAt = puts * ID_BYTES;
  const deletesAt = placesAt + puts * PLACE_BYTES;
  const marksAt = deletesAt + deletes * ID_BYTES;
  const batch = {
    puts: { bytes: body.subarray(0, placesAt), count: puts },
    places: body.subarray(placesAt, deletesAt),
    deletes: { bytes: body.subarray(deletesAt, marksAt), count: deletes },
    marks: decodeMarks(body.subarray(marksAt), logFileName('wal', log)),
  };
  return { batch, end: position + header.length + length };
}

/**
 * Hands each whole batch to `apply`, in order. @returns the offset behind the last one.
 * @throws {IntegrityError} the header, which was durable before CURRENT named the log, is damaged.
 */
export async function replayLog(file: DiskFile, log: number, apply: (batch: Batch) => void): Promise<number> {
  const bytes = new Uint8Array(Math.min(file.size, logHeader.size));
  await file.readInto(0, bytes);
  const header = bytes.length === logHeader.size ? logHeader.view(bytes) : undefined;
  if (header === undefined || !hasMagic(bytes, MAGIC.log) || header.crc !== crc32c(bytes.subarray(0, logHeader.offsets.crc))
    || header.version !== LOG_VERSION || header.log !== log) {
    throw new IntegrityError(`Replay '${logFileName('wal', log)}': the header is damaged`);
  }
  let position = logHeader.size;
  for (;;) {
    const next = await readBatch(file, log, position);
    if (next === undefined) return position;
    apply(next.batch);
    position = next.end;
  }
}

/** Opens an existing log. @throws {IntegrityError} it is missing. */
export async function openLog(disk: Disk, log: number, mode: 'read' | 'write'): Promise<DiskFile> {
  try {
    return await disk.open(logFileName('wal', log), mode);
  } catch (error) {
    if (error instanceof NotFoundError) throw new IntegrityError(`Open '${logFileName('wal', log)}': the file is missing`, {}, error);
    throw error;
  }
}
