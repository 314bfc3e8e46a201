/** Records of the log: finding them backwards from the head, and reading them whole. Source: "XFS Algorithms & Data Structures", "Log Records". */
import { crc32c, FormatError, IntegrityError, LimitError } from '../../../../core/index.ts';
import { BASIC_BLOCK } from '../xfs.layout.ts';
import { CHECKED_BYTES, CYCLE_WORDS, EXTENDED_BYTES, FORMAT_LITTLE, HEADER_SPAN, OPERATION, operationLayout, RECORD_BYTES_MAX, RECORD_MAGIC, recordLayout, RECORDS_IN_FLIGHT } from './log.layout.ts';
import type { LogDevice } from './log-device.ts';

/** A place in the log's endless sequence. */
export interface Lsn {
  readonly cycle: number;
  readonly block: number;
}

/** Less than 0 when `a` is earlier. */
export function compareLsn(a: Lsn, b: Lsn): number {
  return a.cycle === b.cycle ? a.block - b.block : a.cycle - b.cycle;
}

/** The header of a record. */
export interface LogRecord {
  /** Where it is in the ring. */
  readonly block: number;
  readonly headerBlocks: number;
  readonly dataBlocks: number;
  readonly dataBytes: number;
  readonly lsn: Lsn;
  readonly tail: Lsn;
  readonly operations: number;
  readonly littleEndian: boolean;
  readonly bytes: Uint8Array;
}

/** Blocks that are looked through at a time, backwards. */
const SEARCH_BLOCKS = 512;
/** Blocks before the head in which the last record begins: a whole one, and one that was cut. */
const LAST_RECORD_BLOCKS = 2 * (RECORD_BYTES_MAX / BASIC_BLOCK + RECORD_BYTES_MAX / HEADER_SPAN);

function fault(field: string, offset: number, found: string | number, expected: string): FormatError {
  return new FormatError('Read XFS log', { structure: recordLayout.name, field, offset, found, expected });
}

/** Reads the header at `block`. @throws {FormatError} when there is none, or it does not make sense. */
export async function recordAt(log: LogDevice, block: number): Promise<LogRecord> {
  const offset = log.offsetOf(block);
  const first = await log.read(block, 1);
  const view = recordLayout.view(first, 0, offset);
  if (view.h_magicno !== RECORD_MAGIC) throw fault('h_magicno', offset, view.h_magicno, String(RECORD_MAGIC));
  if (view.h_version !== 1 && (view.h_version & ~3) !== 0) throw fault('h_version', offset, view.h_version, '1 or 2');
  // Version 1 has only one size.
  const size = (view.h_version & 2) === 0 ? 0 : view.h_size;
  if (Math.max(view.h_len, size) > RECORD_BYTES_MAX) throw fault('h_len', offset, Math.max(view.h_len, size), `at most ${RECORD_BYTES_MAX}`);
  const headerBlocks = Math.max(1, Math.ceil(size / HEADER_SPAN));
  const dataBlocks = Math.ceil(view.h_len / BASIC_BLOCK);
  if (headerBlocks + dataBlocks > log.blocks) throw fault('h_len', offset, view.h_len, `at most the log's ${log.blocks} blocks`);
  return {
    block: block % log.blocks, headerBlocks, dataBlocks, dataBytes: view.h_len, lsn: { cycle: view.h_lsn_cycle, block: view.h_lsn_block },
    tail: { cycle: view.h_tail_lsn_cycle, block: view.h_tail_lsn_block }, operations: view.h_num_logops, littleEndian: view.h_fmt === FORMAT_LITTLE,
    bytes: headerBlocks === 1 ? first : await log.read(block, headerBlocks),
  };
}

/** Whether the checksum holds; a record of version 4 may have none. */
function checksumHolds(record: LogRecord, data: Uint8Array): boolean {
  const view = recordLayout.view(record.bytes);
  const crcAt = recordLayout.offsets.h_crc;
  const stored = new DataView(view.h_crc.buffer, view.h_crc.byteOffset, 4).getUint32(0, true);
  if (stored === 0) return true;
  return CHECKED_BYTES.some((headBytes) => {
    let crc = crc32c(record.bytes.subarray(crcAt + 4, headBytes), crc32c(new Uint8Array(4), crc32c(record.bytes.subarray(0, crcAt))));
    for (let i = 1; i < Math.min(record.headerBlocks, Math.ceil(record.dataBytes / HEADER_SPAN)); i += 1) crc = crc32c(record.bytes.subarray(i * BASIC_BLOCK, i * BASIC_BLOCK + EXTENDED_BYTES), crc);
    return crc32c(data, crc) === stored;
  });
}

/** Puts back the words that cycle numbers replaced. */
function unpack(record: LogRecord, data: Uint8Array): void {
  const head = new DataView(record.bytes.buffer, record.bytes.byteOffset);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let i = 0; i < record.dataBlocks && i * BASIC_BLOCK + 4 <= data.length; i += 1) {
    const part = Math.floor(i / CYCLE_WORDS);
    if (part > 0 && part >= record.headerBlocks) break;
    const wordsAt = part === 0 ? recordLayout.offsets.h_cycle_data : part * BASIC_BLOCK + 4;
    view.setUint32(i * BASIC_BLOCK, head.getUint32(wordsAt + i % CYCLE_WORDS * 4));
  }
}

/** The data of a record, as it was before it was written. @throws {IntegrityError} when its checksum does not hold. */
export async function recordData(log: LogDevice, record: LogRecord): Promise<Uint8Array> {
  const blocks = await log.read(record.block + record.headerBlocks, record.dataBlocks);
  const data = blocks.subarray(0, record.dataBytes);
  if (!checksumHolds(record, data)) {
    const offset = log.offsetOf(record.block);
    throw new IntegrityError(`Read XFS log: the checksum of the record at offset ${offset} does not hold`, { structure: recordLayout.name, field: 'h_crc', offset });
  }
  unpack(record, data);
  return data;
}

/** The last block before `end` (exclusive), at most `count` back, that a record begins at. */
async function recordBefore(log: LogDevice, end: number, count: number): Promise<number | undefined> {
  for (let left = Math.min(count, log.blocks), at = end; left > 0;) {
    const part = Math.min(left, SEARCH_BLOCKS);
    const start = (at - part + log.blocks) % log.blocks;
    const bytes = await log.read(start, part);
    const view = new DataView(bytes.buffer);
    for (let i = part - 1; i >= 0; i -= 1) if (view.getUint32(i * BASIC_BLOCK) === RECORD_MAGIC) return (start + i) % log.blocks;
    left -= part;
    at = start;
  }
  return undefined;
}

function distance(log: LogDevice, from: number, to: number): number {
  return (to - from + log.blocks) % log.blocks;
}

/** Blocks from the start of a record to a place behind it, the whole ring when it ends where it begins. */
function blocksUpTo(log: LogDevice, record: LogRecord, head: number): number {
  return distance(log, record.block, head) || log.blocks;
}

async function isSound(log: LogDevice, record: LogRecord): Promise<boolean> {
  try {
    await recordData(log, record);
    return true;
  } catch (error) {
    if (error instanceof IntegrityError) return false;
    throw error;
  }
}

/** The last record, and what follows it. */
export interface LogEnd {
  readonly last: LogRecord;
  /** Block behind it. */
  readonly head: number;
  /** Records at the end that were not written whole. */
  readonly torn: number;
}

/**
 * The last sound record: records that were on their way when the system stopped are taken off.
 * @throws {FormatError} when there is no record.
 */
export async function findEnd(log: LogDevice, found: number): Promise<LogEnd> {
  let head = found;
  let torn = 0;
  for (let tries = 0; tries <= 2 * RECORDS_IN_FLIGHT; tries += 1) {
    const block = await recordBefore(log, head, LAST_RECORD_BLOCKS);
    if (block === undefined) throw fault('h_magicno', log.offsetOf(head), 'none', 'a record before the head');
    const last = await recordAt(log, block);
    const length = last.headerBlocks + last.dataBlocks;
    if (length === blocksUpTo(log, last, head) && await firstTorn(log, last.block, head) === undefined) return { last, head, torn };
    // It goes back to the first of those in flight that is not whole: what comes after it was never acknowledged.
    head = await firstTorn(log, last.block, head) ?? last.block;
    torn += 1;
  }
  throw fault('h_crc', log.offsetOf(head), `${torn} torn records`, `at most ${2 * RECORDS_IN_FLIGHT}`);
}

/** The first of the last records before `head` that does not hold; `last` is where the last one begins. */
async function firstTorn(log: LogDevice, last: number, head: number): Promise<number | undefined> {
  const starts = [last];
  while (starts.length < RECORDS_IN_FLIGHT) {
    const span = distance(log, head, starts[0] as number);
    const before = await recordBefore(log, starts[0] as number, Math.min(span, LAST_RECORD_BLOCKS));
    if (before === undefined) break;
    const record = await recordAt(log, before);
    // What does not reach the next one is of another round, or the ring's end was reached.
    if (record.headerBlocks + record.dataBlocks !== distance(log, before, starts[0] as number)) break;
    starts.unshift(before);
  }
  for (const start of starts) {
    const record = await recordAt(log, start);
    const whole = record.headerBlocks + record.dataBlocks <= (distance(log, start, head) || log.blocks);
    if (!whole || !await isSound(log, record)) return start;
  }
  return undefined;
}

/** Whether the record says that the filesystem was unmounted in order. */
export async function isUnmount(log: LogDevice, record: LogRecord): Promise<boolean> {
  if (record.operations !== 1 || record.dataBytes < operationLayout.size) return false;
  const data = await recordData(log, record);
  return (operationLayout.view(data).oh_flags & OPERATION.unmount) !== 0;
}

/**
 * Records from `tail` up to `head`, in order.
 * @throws {FormatError} when one does not begin where that before it ends. @throws {LimitError}
 */
export async function* recordsBetween(log: LogDevice, tail: number, head: number): AsyncIterable<LogRecord> {
  let left = distance(log, tail, head);
  let block = tail;
  for (let count = 0; left > 0; count += 1) {
    if (count > log.blocks) throw new LimitError('records of a log', count, log.blocks, 'XFS log');
    const record = await recordAt(log, block);
    const length = record.headerBlocks + record.dataBlocks;
    if (length > left) throw fault('h_len', log.offsetOf(block), record.dataBytes, `at most ${left} blocks, up to the head`);
    yield record;
    left -= length;
    block = (block + length) % log.blocks;
  }
}
