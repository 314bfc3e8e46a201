/**
 * The CURRENT files: create-once lists of the live segments, the write-ahead log that goes on top of them and the
 * watermarks that they reflect. The highest number that is intact rules; older ones go away once it is durable.
 */
import { crc32c } from '../../../core/crc32c.ts';
import { IntegrityError } from '../../../core/index.ts';
import type { Disk, Watermark } from '../../../core/index.ts';
import { currentHeader, currentSegment, LOG_DIRECTORY, LOG_VERSION, logFileName, MAGIC, MARK_BYTES, parseLogFileName } from './log.layout.ts';
import { decodeMarks, encodeMarks } from './marks.ts';
import { hasMagic } from './page.ts';

/** Bytes of a CURRENT file at most: room for 15 million containers. */
const CURRENT_BYTES_MAX = 256 << 20;
const CRC_BYTES = 4;

/** A segment as CURRENT names it. */
export interface SegmentRef {
  readonly segment: number;
  /** SHA-256 of all bytes of the segment before its footer. */
  readonly digest: Uint8Array;
}

/** One state of the index. */
export interface Current {
  readonly number: number;
  readonly log: number;
  /** Newest first. */
  readonly segments: readonly SegmentRef[];
  readonly marks: readonly Watermark[];
}

function encode(current: Current): Uint8Array {
  const parts = [
    currentHeader.encode({
      magic: MAGIC.current, version: LOG_VERSION, zero: 0, current: current.number, log: current.log,
      segments: current.segments.length, marks: current.marks.length,
    }),
    ...current.segments.map((ref) => currentSegment.encode({ segment: ref.segment, digest: ref.digest })),
    encodeMarks(current.marks),
  ];
  const crc = Buffer.alloc(CRC_BYTES);
  const body = Buffer.concat(parts);
  crc.writeUInt32BE(crc32c(body));
  return Buffer.concat([body, crc]);
}

/** Undefined when the bytes are not an intact CURRENT file of this number. */
function decode(bytes: Uint8Array, number: number): Current | undefined {
  if (bytes.length < currentHeader.size + CRC_BYTES || !hasMagic(bytes, MAGIC.current)) return undefined;
  const end = bytes.length - CRC_BYTES;
  if (new DataView(bytes.buffer, bytes.byteOffset).getUint32(end) !== crc32c(bytes.subarray(0, end))) return undefined;
  const header = currentHeader.view(bytes);
  const marksAt = currentHeader.size + header.segments * currentSegment.size;
  if (header.version !== LOG_VERSION || header.current !== number || marksAt + header.marks * MARK_BYTES !== end) return undefined;
  const segments = Array.from({ length: header.segments }, (_, i) => {
    const row = currentSegment.view(bytes, currentHeader.size + i * currentSegment.size);
    return { segment: row.segment, digest: row.digest };
  });
  return { number, log: header.log, segments, marks: decodeMarks(bytes.subarray(marksAt, end), logFileName('CURRENT', number)) };
}

/** Creates the file and makes it and its name durable; from then on this state rules. */
export async function writeCurrent(disk: Disk, current: Current): Promise<void> {
  const file = await disk.create(logFileName('CURRENT', current.number));
  try {
    await file.writeFrom(0, encode(current));
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(LOG_DIRECTORY);
}

async function readCurrent(disk: Disk, number: number): Promise<Current | undefined> {
  const file = await disk.open(logFileName('CURRENT', number), 'read');
  try {
    if (file.size > CURRENT_BYTES_MAX) return undefined;
    const bytes = new Uint8Array(file.size);
    await file.readInto(0, bytes);
    return decode(bytes, number);
  } finally {
    await file.close();
  }
}

/** Makes sure that the state which was found survives a crash before anything older is removed. */
export async function settleCurrent(disk: Disk, current: Current): Promise<void> {
  const file = await disk.open(logFileName('CURRENT', current.number), 'write');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(LOG_DIRECTORY);
}

/**
 * The ruling state; undefined when the directory holds no CURRENT file at all (a new index).
 * @throws {IntegrityError} there are some, but none is intact. @throws {NotFoundError} a writer removed it meanwhile.
 */
export async function findCurrent(disk: Disk): Promise<Current | undefined> {
  const numbers = (await disk.list(LOG_DIRECTORY)).map((entry) => parseLogFileName(entry.name))
    .flatMap((name) => (name?.kind === 'CURRENT' ? [name.number] : [])).sort((a, b) => b - a);
  for (const number of numbers) {
    const current = await readCurrent(disk, number);
    if (current !== undefined) return current;
  }
  if (numbers.length === 0) return undefined;
  throw new IntegrityError(`Open chunk index: none of '${numbers.length}' CURRENT files in '${LOG_DIRECTORY}' is intact`);
}
