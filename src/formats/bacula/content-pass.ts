/** One pass over the content of a file, in the order it was stored: chunks out, digest and size checked at the end. */
import { equalBytes, type ErrorData, FormatError, type HoldfastError, IntegrityError, LimitError, type Limits, UnsupportedError } from '../../core/index.ts';
import type { BlockReader } from './block-reader.ts';
import { type Chunk, ChunkDecoder, FrameDecoder } from './content-codec.ts';
import { type ContentDigest, startDigest } from './digest.ts';
import { FILE_FLAG, type RecordPlace } from './file-table.ts';
import type { Pki } from './pki.ts';
import { RecordCursor, type SessionRecord } from './record-cursor.ts';
import type { SessionIndex } from './session-index.ts';
import { dataStream, type DataStream, digestStream, STREAM, STREAM_BITS_UNSUPPORTED, STREAM_TYPE_MASK } from './stream.ts';

/** What reading content needs besides the file's row. */
export interface ContentTools {
  readonly reader: BlockReader;
  readonly pki: Pki;
  readonly limits: Limits;
}

/** A place in a file where a pass may begin: `offset` bytes into it, at a record. */
export interface Checkpoint {
  readonly offset: number;
  readonly place: RecordPlace;
}

/** Bytes at their place in the file. A view, valid until the next call. */
export interface PlacedChunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Where the record begins; undefined where a pass cannot begin (encrypted content). */
  readonly place: RecordPlace | undefined;
}

const noDigest: ContentDigest = { update: () => {}, finish: () => new Uint8Array() };

/** A pass over one file; reading is not concurrent. `release` what is left before its end. */
export class ContentPass {
  readonly #session: SessionIndex;
  readonly #row: number;
  readonly #tools: ContentTools;
  readonly #cursor: RecordCursor;
  readonly #stream: DataStream | undefined;
  readonly #type: number;
  readonly #chunks: ChunkDecoder | undefined;
  readonly #checks: boolean;
  #frames: FrameDecoder | undefined;
  #queue: Uint8Array[] = [];
  #queuePlace: RecordPlace | undefined;
  #digest: ContentDigest | undefined;
  #signing: readonly ContentDigest[] = [];
  #signature: Uint8Array | undefined;
  #position: number;
  #ended = false;
  #stored: Uint8Array | undefined;

  /** From the file's attributes with all checks, or from a checkpoint without. */
  constructor(session: SessionIndex, row: number, tools: ContentTools, from?: Checkpoint) {
    const { files } = session;
    this.#session = session;
    this.#row = row;
    this.#tools = tools;
    this.#type = files.stream.get(row);
    this.#stream = dataStream(this.#type);
    this.#checks = from === undefined;
    this.#position = from?.offset ?? 0;
    this.#chunks = this.#stream === undefined ? undefined : new ChunkDecoder(this.#stream, tools.limits);
    this.#cursor = new RecordCursor(session, tools.reader, tools.limits, from?.place ?? { block: files.block.get(row), offset: files.offset.get(row) });
  }

  /** End of the last chunk, in bytes of the file. */
  get position(): number {
    return this.#position;
  }

  /**
   * The next chunk; undefined once the file's records have ended and its digest holds.
   * @throws {IntegrityError} the digest does not hold, a chunk cannot be decoded, or blocks are missing.
   * @throws {NotFoundError} no key for encrypted content. @throws {UnsupportedError}
   */
  async next(): Promise<PlacedChunk | undefined> {
    if (this.#checks && this.#digest === undefined && !this.#ended) await this.#startDigests();
    for (;;) {
      const queued = this.#queue.shift();
      if (queued !== undefined) return this.#place(this.#decode(queued, this.#queuePlace), this.#queuePlace);
      if (this.#ended) {
        if (this.#checks) this.#verify();
        return undefined;
      }
      const record = await this.#cursor.next();
      if (record === undefined || record.fileIndex !== this.#session.files.fileIndex.get(this.#row)) this.#finish(undefined, record?.place);
      else this.#take(record);
    }
  }

  /** Gives back the block that is being read; for a pass that is left before its end. */
  release(): void {
    this.#cursor.release();
  }

  async #startDigests(): Promise<void> {
    const { files } = this.#session;
    const kind = digestStream(files.digest.get(this.#row));
    const bytes = files.size.get(this.#row);
    this.#digest = kind === undefined ? noDigest : await startDigest(kind, bytes);
    const signed = (files.flags.get(this.#row) & FILE_FLAG.signed) !== 0;
    if (signed && this.#tools.pki.canVerify) this.#signing = await Promise.all((['sha1', 'sha256', 'sha512', 'md5'] as const).map((one) => startDigest(one, bytes)));
  }

  #take(record: SessionRecord): void {
    const type = record.stream & STREAM_TYPE_MASK;
    if (type === STREAM.ENCRYPTED_SESSION_DATA) {
      this.#frames = new FrameDecoder(this.#tools.pki.contentKey(record.bytes), this.#tools.limits);
    } else if (type === this.#type && this.#type !== 0) this.#data(record);
    else if (type === STREAM.SIGNED_DIGEST) this.#signature = record.bytes.slice();
    else if (digestStream(type) !== undefined) this.#finish(record.bytes, record.place);
  }

  #data(record: SessionRecord): void {
    const { unsupported } = this.#stream as DataStream;
    if (unsupported !== undefined || (record.stream & STREAM_BITS_UNSUPPORTED) !== 0) {
      throw new UnsupportedError(`Read content of file ${record.fileIndex} of ${this.#session.name}: ${unsupported ?? `stream '${record.stream}'`} is not supported`, { stream: record.stream });
    }
    if (!(this.#stream as DataStream).encrypted) {
      this.#queue.push(record.bytes);
      this.#queuePlace = record.place;
      return;
    }
    if (this.#frames === undefined) throw this.#fault(record.place, 'encrypted content has no session key in front of it');
    this.#queue.push(...this.#guard(record.place, () => (this.#frames as FrameDecoder).push(record.bytes)));
    this.#queuePlace = undefined;
  }

  #decode(packed: Uint8Array, place: RecordPlace | undefined): Chunk {
    return this.#guard(place, () => (this.#chunks as ChunkDecoder).decode(packed));
  }

  #place(chunk: Chunk, place: RecordPlace | undefined): PlacedChunk {
    const offset = chunk.offset ?? this.#position;
    if (offset < this.#position) throw this.#fault(place, `a chunk at '${offset}' overlaps the one before it, which ends at '${this.#position}'`);
    this.#position = offset + chunk.bytes.length;
    this.#digest?.update(chunk.bytes);
    for (const digest of this.#signing) digest.update(chunk.bytes);
    return { offset, bytes: chunk.bytes, place };
  }

  /** Ends the file; `stored` is its digest record. The last encrypted chunks are still to come out of the queue. */
  #finish(stored: Uint8Array | undefined, place: RecordPlace | undefined): void {
    const frames = this.#frames;
    this.#frames = undefined;
    if (frames !== undefined && this.#type !== 0) this.#queue.push(...this.#guard(place, () => frames.end()));
    this.#stored = stored?.slice();
    this.#cursor.release();
    this.#ended = true;
  }

  #verify(): void {
    const computed = this.#digest?.finish();
    this.#digest = undefined;
    const place = { block: this.#session.files.block.get(this.#row), offset: 0 };
    const kind = digestStream(this.#session.files.digest.get(this.#row));
    if (kind !== undefined && computed !== undefined && !equalBytes(computed, this.#stored ?? new Uint8Array())) {
      throw this.#fault(place, `its content does not match its ${kind} digest: found '${hex(computed)}', stored '${hex(this.#stored ?? new Uint8Array())}'`, { check: 'digest' });
    }
    const [sha1, sha256, sha512, md5] = this.#signing.map((digest) => digest.finish());
    if (this.#signature === undefined || sha1 === undefined || sha256 === undefined || sha512 === undefined || md5 === undefined) return;
    if (this.#tools.pki.verify(this.#signature, { sha1, sha256, sha512, md5 }) === 'wrong') throw this.#fault(place, 'its content does not match its signature', { check: 'signature' });
  }

  /** Decoding faults are damage of the content: name the place. */
  #guard<T>(place: RecordPlace | undefined, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof LimitError)) throw error;
      throw this.#fault(place, error.message, {}, error);
    }
  }

  #fault(place: RecordPlace | undefined, message: string, data: ErrorData = {}, cause?: HoldfastError): IntegrityError {
    const { files, blocks, name } = this.#session;
    const where = this.#tools.reader.place(blocks.get(place?.block ?? files.block.get(this.#row)));
    return new IntegrityError(`Read file ${files.fileIndex.get(this.#row)} of ${name} in block ${where.block} at offset ${where.offset} of volume '${where.volume}': ${message}`, { ...where, ...data }, cause);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
