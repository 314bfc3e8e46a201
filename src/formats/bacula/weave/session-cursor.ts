/**
 * Where a session of a woven segment has got to: walks the records of its blocks, from the heads alone. The same walk that finds where all blocks begin
 * also renders one of them.
 */
import { FormatError } from '../../../core/index.ts';
import { CompactReader } from './compact.ts';
import { unfoldedLength } from './fold.ts';
import { HELD_BYTES_MAX, type WovenSession } from './layout.ts';
import { RECORD_HEAD_BYTES, payloadKind, type PayloadKind } from './session-splitter.ts';

/** A record, and where it is kept. */
export interface WovenRecord {
  readonly fileIndex: number;
  readonly stream: number;
  /** Bytes of the whole record. */
  readonly length: number;
  readonly kind: PayloadKind | 'folded';
  /** Where it begins in the session's part, or in its labels. */
  readonly at: number;
  /** Bytes kept there: fewer than its length when it is folded. */
  readonly kept: number;
  /** `st_atime` of a folded record. */
  readonly time: number;
}

/** Takes what a walk over a block comes by. */
export interface RecordVisitor {
  /** `[from, from + take)` of a record; `isContinued`: it began in an earlier block. */
  piece(record: WovenRecord, from: number, take: number, isContinued: boolean): void;
}

function fault(field: string, found: number, expected: string | number): FormatError {
  return new FormatError('Read woven volume', { structure: 'segment', field, found, expected });
}

function i32(field: string, value: number): number {
  if (value < -0x8000_0000 || value > 0x7fff_ffff) throw fault(field, value, '32 bits');
  return value;
}

/** A session's columns; shared by all cursors of it. */
export interface SessionParts {
  readonly session: WovenSession;
  readonly heads: Uint8Array;
  /** Where the session begins in the parts of the segment. */
  readonly metaStart: number;
  readonly dataStart: number;
}

/** See the header. {@link copy} keeps a place. */
export class SessionCursor {
  readonly #parts: SessionParts;
  readonly #heads: CompactReader;
  readonly #times: CompactReader;
  readonly #labelHeads: CompactReader;
  metaAt = 0;
  dataAt = 0;
  labelAt = 0;
  #fileIndex = 0;
  #time = 0;
  #open: WovenRecord | undefined;
  #done = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#heads = new CompactReader(parts.heads);
    this.#times = new CompactReader(parts.session.times);
    this.#labelHeads = new CompactReader(parts.session.labelHeads);
  }

  /** Another cursor at the same place. */
  copy(): SessionCursor {
    const copy = new SessionCursor(this.#parts);
    copy.#heads.at = this.#heads.at;
    copy.#times.at = this.#times.at;
    copy.#labelHeads.at = this.#labelHeads.at;
    [copy.metaAt, copy.dataAt, copy.labelAt] = [this.metaAt, this.dataAt, this.labelAt];
    [copy.#fileIndex, copy.#time, copy.#open, copy.#done] = [this.#fileIndex, this.#time, this.#open, this.#done];
    return copy;
  }

  get parts(): SessionParts {
    return this.#parts;
  }

  /** Whether everything that is kept was used. */
  get isAtEnd(): boolean {
    const { session } = this.#parts;
    return this.#heads.left === 0 && this.#times.left === 0 && this.#labelHeads.left === 0
      && this.metaAt === session.meta && this.dataAt === session.data && this.labelAt === session.labels.length;
  }

  /** The session's unfinished record is not continued. */
  drop(): void {
    this.#open = undefined;
  }

  /** A payload that is one piece of data. @throws {FormatError} there is less. */
  opaque(length: number): void {
    this.drop();
    this.dataAt += this.#checkKept('data', this.dataAt, length, this.#parts.session.data);
  }

  /**
   * Goes over the records of one block with room for `room` bytes of payload: to its end, or with `fills` until no further head fits.
   * @returns the bytes used. @throws {FormatError} the columns do not hold so much, or do not fit together.
   */
  walk(room: number, fills: boolean, visitor?: RecordVisitor): number {
    let used = 0;
    while (this.#open !== undefined || (fills ? room - used >= RECORD_HEAD_BYTES : room > used)) {
      if (room - used < RECORD_HEAD_BYTES) {
        if (fills && this.#open === undefined) break;
        throw fault('room', room - used, RECORD_HEAD_BYTES);
      }
      const isContinued = this.#open !== undefined;
      const record: WovenRecord = this.#open ?? this.#next();
      const from = isContinued ? this.#done : 0;
      const take = Math.min(record.length - from, room - used - RECORD_HEAD_BYTES);
      this.#advance(record, take);
      visitor?.piece(record, from, take, isContinued);
      used += RECORD_HEAD_BYTES + take;
      this.#open = from + take < record.length ? record : undefined;
      this.#done = from + take;
      if (this.#open !== undefined) break;
    }
    return used;
  }

  #next(): WovenRecord {
    this.#done = 0;
    const index = this.#heads.number('fileIndex');
    if (index === 0) return this.#label();
    const fileIndex = this.#fileIndex = i32('fileIndex', this.#fileIndex + (index % 2 === 1 ? (index - 1) / 2 : -index / 2));
    const code = this.#heads.number('stream');
    if (code === 0) return this.#folded(fileIndex);
    const stream = i32('stream', code % 2 === 1 ? (code - 1) / 2 : -code / 2);
    const length = this.#heads.bounded('length', 0xffff_ffff);
    const kind = payloadKind(fileIndex, stream);
    return { fileIndex, stream, length, kind, at: kind === 'data' ? this.dataAt : this.metaAt, kept: length, time: 0 };
  }

  #label(): WovenRecord {
    const [fileIndex, stream] = [i32('fileIndex', this.#labelHeads.signed('fileIndex')), i32('stream', this.#labelHeads.signed('stream'))];
    return { fileIndex, stream, length: this.#labelHeads.bounded('length', 0xffff_ffff), kind: 'label', at: this.labelAt, kept: 0, time: 0 };
  }

  #folded(fileIndex: number): WovenRecord {
    const kept = this.#heads.bounded('length', HELD_BYTES_MAX);
    const time = this.#time += this.#times.signed('time');
    if (time < 0 || !Number.isSafeInteger(time) || fileIndex < 0) throw fault('time', time, 'a time from 0');
    const at = this.metaAt;
    this.metaAt += this.#checkKept('meta', at, kept, this.#parts.session.meta);
    return { fileIndex, stream: 1, length: unfoldedLength(kept, fileIndex, time), kind: 'folded', at, kept, time };
  }

  #advance({ kind }: WovenRecord, take: number): void {
    const { session } = this.#parts;
    if (kind === 'data') this.dataAt += this.#checkKept('data', this.dataAt, take, session.data);
    else if (kind === 'meta') this.metaAt += this.#checkKept('meta', this.metaAt, take, session.meta);
    else if (kind === 'label') this.labelAt += this.#checkKept('labels', this.labelAt, take, session.labels.length);
  }

  #checkKept(field: string, at: number, length: number, size: number): number {
    if (at + length > size) throw fault(field, at + length, `at most ${size}`);
    return length;
  }
}
