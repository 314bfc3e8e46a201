/** Walks the records of one session from any record on, joining what continues in later blocks. */
import { IntegrityError, LimitError, type Limits } from '../../core/index.ts';
import type { BlockLease, BlockReader } from './block-reader.ts';
import type { RecordPlace } from './file-table.ts';
import type { SessionIndex } from './session-index.ts';

/** One whole record. `bytes` is valid until the next call of `next`. */
export interface SessionRecord {
  readonly fileIndex: number;
  readonly stream: number;
  readonly bytes: Uint8Array;
  readonly place: RecordPlace;
}

interface Piece {
  readonly fileIndex: number;
  readonly stream: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly block: number;
  readonly offset: number;
}

/** Shared: most cursors join nothing. */
const nothing = new Uint8Array(0);

/** A position in a session. `release` it when it is left. */
export class RecordCursor {
  readonly #session: SessionIndex;
  readonly #reader: BlockReader;
  readonly #limits: Limits;
  #block: number;
  #offset: number;
  #entered: number;
  #lease: BlockLease | undefined;
  #joined = nothing;

  constructor(session: SessionIndex, reader: BlockReader, limits: Limits, from: RecordPlace) {
    this.#session = session;
    this.#reader = reader;
    this.#limits = limits;
    this.#block = from.block;
    this.#offset = from.offset;
    this.#entered = from.block;
  }

  /**
   * The next record; undefined at the end of the session.
   * @throws {IntegrityError} when blocks are missing here, or the session was cut off; `data` names volume, block and offset.
   */
  async next(): Promise<SessionRecord | undefined> {
    const first = await this.#piece();
    if (first === undefined) return undefined;
    const { fileIndex, stream, size } = first;
    const place = { block: first.block, offset: first.offset };
    if (first.bytes.length === size || fileIndex < 0) return { fileIndex, stream, bytes: first.bytes, place };
    if (stream < 0) throw this.#fault(first, 'a piece continues nothing');
    if (size > this.#limits.baculaRecordBytesMax) throw new LimitError('baculaRecordBytesMax', size, this.#limits.baculaRecordBytesMax, this.#session.name);
    return { fileIndex, stream, bytes: await this.#join(first), place };
  }

  /** Gives the current block back; what `next` returned must not be touched any more. Reading may go on. */
  release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }

  async #join(first: Piece): Promise<Uint8Array> {
    if (this.#joined.length < first.size) this.#joined = new Uint8Array(first.size);
    const joined = this.#joined;
    joined.set(first.bytes);
    let filled = first.bytes.length;
    while (filled < first.size) {
      const piece = await this.#piece();
      if (piece === undefined || piece.fileIndex !== first.fileIndex || piece.stream !== -first.stream || piece.size !== first.size - filled) {
        throw this.#fault(first, `its record of file ${first.fileIndex}, stream ${first.stream}, is not continued`);
      }
      joined.set(piece.bytes, filled);
      filled += piece.bytes.length;
    }
    return joined.subarray(0, first.size);
  }

  async #piece(): Promise<Piece | undefined> {
    for (;;) {
      const payload = this.#lease?.payload ?? await this.#enter();
      if (payload === undefined) return undefined;
      const at = this.#offset;
      if (at + 12 > payload.length) {
        this.#block += 1;
        this.#offset = 0;
        this.release();
        continue;
      }
      const size = i32(payload, at + 8) >>> 0;
      const end = Math.min(at + 12 + size, payload.length);
      this.#offset = end;
      return { fileIndex: i32(payload, at), stream: i32(payload, at + 4), size, bytes: payload.subarray(at + 12, end), block: this.#block, offset: at };
    }
  }

  /** Loads the current block; refuses to step over lost ones. */
  async #enter(): Promise<Uint8Array | undefined> {
    const { blocks, gaps, cutOff } = this.#session;
    const gap = this.#block > this.#entered ? gaps.get(this.#block) : undefined;
    if (gap !== undefined) throw new IntegrityError(`Read ${this.#session.name} in block ${gap.block} at offset ${gap.offset} of volume '${gap.volume}': ${gap.message}`, { volume: gap.volume, block: gap.block, offset: gap.offset });
    if (this.#block >= blocks.rows) {
      if (!cutOff) return undefined;
      const last = this.#reader.place(blocks.get(blocks.rows - 1));
      throw new IntegrityError(`Read ${this.#session.name} after block ${last.block} at offset ${last.offset} of volume '${last.volume}': the session was cut off`, { ...last, block: last.block + 1 });
    }
    this.#entered = this.#block;
    const row = blocks.get(this.#block);
    this.#lease = this.#reader.tryLease(row) ?? await this.#reader.lease(row);
    return this.#lease.payload;
  }

  #fault(piece: Piece, message: string): IntegrityError {
    const place = this.#reader.place(this.#session.blocks.get(piece.block));
    return new IntegrityError(`Read block ${place.block} at offset ${place.offset} of volume '${place.volume}': ${message}`, { ...place });
  }
}

function i32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
}
