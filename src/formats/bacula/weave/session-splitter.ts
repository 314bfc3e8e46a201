/** One session of a segment that is being split: takes its blocks in order and keeps what they say, each kind of bytes in a column of its own. */
import { LABEL } from '../block.layout.ts';
import type { BlockHead } from '../block.ts';
import { STREAM, STREAM_TYPE_MASK, dataStream } from '../stream.ts';
import { CompactWriter } from './compact.ts';
import { FOLDED_BYTES_MAX, foldAttributes } from './fold.ts';
import { BLOCK_BYTES_USUAL, ITEM, type WovenSession } from './layout.ts';

/** Where payloads of a record are kept. */
export type PayloadKind = 'label' | 'meta' | 'data';

/** The kind of a record, by its head. */
export function payloadKind(fileIndex: number, stream: number): PayloadKind {
  if (fileIndex < 0) return 'label';
  return dataStream(Math.abs(stream) & STREAM_TYPE_MASK) === undefined ? 'meta' : 'data';
}

/** The stream that the head of a continuation has. */
export function continuedStream(stream: number): number {
  return stream > 0 ? -stream : stream;
}

/** A record that goes on in the session's next block. */
interface OpenRecord {
  readonly fileIndex: number;
  readonly stream: number;
  readonly kind: PayloadKind;
  left: number;
  /** Pieces of an attribute record that may be folded once it is whole. */
  readonly pieces: Uint8Array[] | undefined;
  readonly length: number;
}

/** Runs of data in the segment: offset and length, by turns. */
export class RunList {
  #values: Uint32Array = new Uint32Array(64);
  #count = 0;
  bytes = 0;

  get count(): number {
    return this.#count / 2;
  }

  add(offset: number, length: number): void {
    if (length === 0) return;
    this.bytes += length;
    if (this.#count > 0 && (this.#values[this.#count - 2] as number) + (this.#values[this.#count - 1] as number) === offset) {
      this.#values[this.#count - 1] = (this.#values[this.#count - 1] as number) + length;
      return;
    }
    if (this.#count === this.#values.length) {
      const grown = new Uint32Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count] = offset;
    this.#values[this.#count + 1] = length;
    this.#count += 2;
  }

  offset(run: number): number {
    return this.#values[run * 2] as number;
  }

  length(run: number): number {
    return this.#values[run * 2 + 1] as number;
  }
}

function i32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
}

/** Bytes of a record's head. */
export const RECORD_HEAD_BYTES = 12;

/** See the header. */
export class SessionSplitter {
  readonly heads: CompactWriter = new CompactWriter();
  readonly meta: CompactWriter = new CompactWriter();
  readonly data: RunList = new RunList();
  readonly first: BlockHead;
  readonly options: number;
  readonly #times: CompactWriter = new CompactWriter();
  readonly #labelHeads: CompactWriter = new CompactWriter();
  readonly #labels: CompactWriter = new CompactWriter();
  #number: number;
  #capacity = BLOCK_BYTES_USUAL;
  #fileIndex = 0;
  #time = 0;
  #open: OpenRecord | undefined;

  constructor(first: BlockHead, options: number) {
    this.first = first;
    this.options = options;
    this.#number = first.number;
  }

  /**
   * Takes the next block; `payload` is in plain text and begins at `offset` of the segment.
   * @returns the item's bits of size, number, opaque and fresh.
   */
  take(head: BlockHead, payload: Uint8Array, offset: number): number {
    let bits = head.number === this.#number ? 0 : ITEM.number;
    this.#number = (head.number + 1) >>> 0;
    const continues = this.#open !== undefined && this.#isContinuation(this.#open, payload);
    if (head.encrypted || !isWhole(payload)) {
      this.#close();
      this.data.add(offset, payload.length);
      bits |= ITEM.opaque;
    } else {
      if (this.#open !== undefined && !continues) {
        this.#close();
        bits |= ITEM.fresh;
      }
      this.#records(payload, offset);
    }
    const missing = this.#capacity - head.size;
    const isFull = missing === 0 || ((bits & ITEM.opaque) === 0 && missing > 0 && missing < RECORD_HEAD_BYTES && this.#open === undefined);
    if (!isFull) bits |= ITEM.size;
    this.#capacity = Math.max(this.#capacity, head.size);
    return bits;
  }

  /** What the layout says about the session, once all blocks were taken. */
  finish(): WovenSession {
    this.#close();
    const { version, sessionId: id, sessionTime: time, number } = this.first;
    return {
      version, options: this.options, id, time, number, heads: this.heads.length, meta: this.meta.length, data: this.data.bytes,
      times: this.#times.bytes, labelHeads: this.#labelHeads.bytes, labels: this.#labels.bytes,
    };
  }

  #isContinuation(open: OpenRecord, payload: Uint8Array): boolean {
    return payload.length >= RECORD_HEAD_BYTES && i32(payload, 0) === open.fileIndex && i32(payload, 4) === continuedStream(open.stream) && i32(payload, 8) >>> 0 === open.left;
  }

  /** Records of a payload that {@link isWhole}; the first continues the open one, if there is one. */
  #records(payload: Uint8Array, offset: number): void {
    for (let at = 0; at < payload.length;) {
      const length = i32(payload, at + 8) >>> 0;
      const [fileIndex, stream] = [i32(payload, at), i32(payload, at + 4)];
      at += RECORD_HEAD_BYTES;
      const piece = payload.subarray(at, Math.min(payload.length, at + length));
      const open = this.#open ?? this.#begin(fileIndex, stream, length);
      this.#piece(open, piece, offset + at);
      at += piece.length;
    }
  }

  /** An attribute record is written down when it is whole, because then it may be folded; all others at once. */
  #begin(fileIndex: number, stream: number, length: number): OpenRecord {
    const mayFold = stream === STREAM.UNIX_ATTRIBUTES && fileIndex >= 0 && length <= FOLDED_BYTES_MAX;
    const open: OpenRecord = { fileIndex, stream, kind: payloadKind(fileIndex, stream), left: length, length, pieces: mayFold ? [] : undefined };
    if (!mayFold) this.#head(open);
    this.#open = open;
    return open;
  }

  #piece(open: OpenRecord, piece: Uint8Array, offset: number): void {
    if (open.pieces !== undefined) open.pieces.push(open.left === piece.length && open.pieces.length === 0 ? piece : piece.slice());
    else if (open.kind === 'data') this.data.add(offset, piece.length);
    else (open.kind === 'meta' ? this.meta : this.#labels).push(piece);
    open.left -= piece.length;
    if (open.left > 0) return;
    if (open.pieces !== undefined) this.#fold(open, open.pieces);
    this.#open = undefined;
  }

  #fold(open: OpenRecord, pieces: readonly Uint8Array[]): void {
    const record = pieces.length === 1 ? pieces[0] as Uint8Array : Buffer.concat(pieces);
    const folded = foldAttributes(record, open.fileIndex);
    if (folded === undefined) {
      this.#head(open);
      this.meta.push(record);
      return;
    }
    this.#index(open.fileIndex);
    this.heads.number(0);
    this.heads.number(folded.rest.length);
    this.meta.push(folded.rest);
    this.#times.signed(folded.time - this.#time);
    this.#time = folded.time;
  }

  /** Ends a record that is not continued, or not in this segment. */
  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open?.pieces === undefined) return;
    this.#head(open);
    for (const piece of open.pieces) this.meta.push(piece);
  }

  #index(fileIndex: number): void {
    const difference = fileIndex - this.#fileIndex;
    this.heads.number(difference < 0 ? -difference * 2 : difference * 2 + 1); // 0 stands for a label
    this.#fileIndex = fileIndex;
  }

  #head({ kind, fileIndex, stream, length }: OpenRecord): void {
    if (kind === 'label') {
      this.heads.number(0);
      this.#labelHeads.signed(fileIndex);
      this.#labelHeads.signed(stream);
      this.#labelHeads.number(length);
      return;
    }
    this.#index(fileIndex);
    this.heads.number(stream < 0 ? -stream * 2 : stream * 2 + 1); // 0 stands for a folded record
    this.heads.number(length);
  }
}

/** Whether a payload is records from end to end, of which the last may go on elsewhere. */
function isWhole(payload: Uint8Array): boolean {
  let at = 0;
  while (at < payload.length) {
    if (payload.length - at < RECORD_HEAD_BYTES) return false;
    at += RECORD_HEAD_BYTES + (i32(payload, at + 8) >>> 0);
  }
  return true;
}

/** The FileIndex of a payload's first record; 0 when there is none. */
export function firstFileIndex(payload: Uint8Array): number {
  return payload.length < RECORD_HEAD_BYTES ? 0 : i32(payload, 0);
}

/** Whether a segment begins anew before such a block: a job begins. */
export function isJobStart(payload: Uint8Array): boolean {
  return firstFileIndex(payload) === LABEL.SOS_LABEL;
}

/** Whether it is the volume's label, which Bacula writes over. */
export function isVolumeLabel(payload: Uint8Array): boolean {
  const fileIndex = firstFileIndex(payload);
  return fileIndex === LABEL.VOL_LABEL || fileIndex === LABEL.PRE_LABEL;
}
