/** Where a session begins, and where it goes on: what stands at the front of a block. */
import { HoldfastError } from '../../core/index.ts';
import { LABEL } from './block.layout.ts';
import type { RecordPlace } from './file-table.ts';
import { parseSessionStart, type SessionLabel } from './label.ts';
import { STREAM_TYPE_MASK, streamRole } from './stream.ts';
import { labelBytes, RECORD_HEAD_BYTES } from './volume-head.ts';

/** A block as the session sees it. `row` is its row in the block table. */
export interface SessionBlock {
  readonly row: number;
  readonly volume: string;
  readonly number: number;
  readonly offset: number;
  /** Offset behind it. */
  readonly end: number;
  readonly payload: Uint8Array;
  /** No data block came before it on its volume, so what is missing was on another volume. */
  readonly firstOnVolume: boolean;
  /** Damage was met on this volume before it. */
  readonly afterDamage: boolean;
  /** Damage was met since the block that the session had before, on its volume or on this one. */
  readonly behindDamage: boolean;
}

/** Status of a job that was stopped, and may be restarted in its session. 15.0.3 writes it into an end label, 9.6.7 writes none then. */
export const STOPPED = 'I';

/** Whether a session begins with this block. On a device that cannot go back, a FIFO, the volume's label stands in front of it in the same block. */
export function startsWithSessionLabel(payload: Uint8Array): boolean {
  const at = labelBytes(payload);
  return at + 12 <= payload.length && new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getInt32(at) === LABEL.SOS_LABEL;
}

/** The start label at the front of a block; undefined where none stands there, or none that can be read: it is met again as a record. */
export function sessionStartOf(payload: Uint8Array): SessionLabel | undefined {
  if (!startsWithSessionLabel(payload)) return undefined;
  const at = labelBytes(payload);
  const size = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(at + 8);
  try {
    return parseSessionStart(payload.subarray(at + 12, at + 12 + size));
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return undefined;
  }
}

/** Whether a job that was stopped begins again with the label at the front of a block: its own once more, with a later time. A block that comes twice has the same time. */
export function isRestart(start: SessionLabel, label: SessionLabel | undefined): boolean {
  return label !== undefined && label.jobId === start.jobId && label.time > start.time;
}

/** The head of a record. */
export interface RecordHead {
  readonly fileIndex: number;
  readonly stream: number;
  readonly size: number;
}

/** The first record's head of a block; undefined where there is no room for one. */
export function frontOf(payload: Uint8Array): RecordHead | undefined {
  if (payload.length < RECORD_HEAD_BYTES) return undefined;
  const head = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { fileIndex: head.getInt32(0), stream: head.getInt32(4), size: head.getUint32(8) };
}

/** A record that was not whole yet where a block ended. */
export interface HalfRecord {
  readonly fileIndex: number;
  readonly stream: number;
  readonly remaining: number;
}

/** A record that waits for its other pieces. */
export interface OpenRecord extends HalfRecord {
  readonly size: number;
  readonly place: RecordPlace;
  remaining: number;
  /** Joined only for what is parsed while scanning; content is read later. */
  readonly pieces: Uint8Array[] | undefined;
}

/** One record, or the part of one that a block holds: `size` is what its head says, `bytes` what is there. */
export interface Incoming {
  readonly fileIndex: number;
  readonly stream: number;
  readonly size: number;
  readonly place: RecordPlace;
  readonly bytes: Uint8Array;
}

/**
 * Whether a job that Bacula spools goes on with a block that begins so: blocks are counted from 0 again whenever the spool has been emptied (measured, 9.6.7), records go on across that.
 * `open`: the record that was not whole yet; `lastIndex`: the last FileIndex, which the storage daemon takes from nobody but in steps of 1. A block that comes twice does not fit
 * behind them; blocks that are missing show by their records.
 */
export function isNextSpool(front: RecordHead | undefined, open: HalfRecord | undefined, lastIndex: number): boolean {
  if (front === undefined) return false;
  const { fileIndex, stream, size } = front;
  if (open !== undefined) return fileIndex === open.fileIndex && stream === -open.stream && size === open.remaining;
  return fileIndex === LABEL.EOS_LABEL || (stream >= 0 && fileIndex >= Math.max(1, lastIndex) && isSameOrNext(fileIndex, lastIndex));
}

function isSameOrNext(fileIndex: number, lastIndex: number): boolean {
  return lastIndex === 0 || fileIndex <= lastIndex + 1;
}

/** Whether files between the last one and the first one of a block are missing. */
export function skipsFiles(front: RecordHead | undefined, lastIndex: number): boolean {
  return front !== undefined && !isSameOrNext(front.fileIndex, lastIndex);
}

/**
 * Whether a block that begins so is a later one of a spooled job, though its number is a lower one. A file that was not met before proves it. Else, behind damage in a job that is known to be spooled
 * (`isSpooled`), more of the last file does, whose rest is lost anyway; its attributes once more do not.
 */
export function isLaterSpool(front: RecordHead | undefined, lastIndex: number, isSpooled: boolean): boolean {
  if (front === undefined) return false;
  const { fileIndex, stream } = front;
  if (fileIndex > Math.max(0, lastIndex)) return true;
  return isSpooled && (fileIndex === LABEL.EOS_LABEL || (fileIndex > 0 && fileIndex === lastIndex && !streamRole(Math.abs(stream) & STREAM_TYPE_MASK).startsWith('attributes')));
}
