/** Collects an object in memory and sends it at `commit`, whole and with its digest: a bucket has no place for half an object. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { LimitError, type ObjectWriter } from '../../../core/index.ts';
import type { S3Client } from './client.ts';
import { createObject } from './upload.ts';

/** Bytes of the largest object. Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits": one PUT takes 5 GiB. */
export const OBJECT_BYTES_MAX: number = 5 * 2 ** 30;

const PIECE_BYTES = 256 << 10;
/** 40 MiB, which a container fits into. */
const PIECES_KEPT_MAX = 160;

/** Pieces of memory for the next object: left to the garbage collector, several objects' worth of them would pile up. */
export class PiecePool {
  readonly #pieces: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#pieces.pop() ?? new Uint8Array(PIECE_BYTES);
  }

  give(pieces: readonly Uint8Array[]): void {
    this.#pieces.push(...pieces.slice(0, PIECES_KEPT_MAX - this.#pieces.length));
  }
}

/** See the file's header. */
export class S3Writer implements ObjectWriter {
  readonly #client: S3Client;
  readonly #name: string;
  readonly #pool: PiecePool;
  readonly #digest = createHash('sha256');
  #pieces: Uint8Array[] = [];
  #size = 0;
  #open = true;

  constructor(client: S3Client, name: string, pool: PiecePool) {
    this.#client = client;
    this.#name = name;
    this.#pool = pool;
  }

  get size(): number {
    return this.#size;
  }

  async append(...parts: readonly Uint8Array[]): Promise<void> {
    assert(this.#open, 'the writer is open');
    for (const part of parts) {
      if (this.#size + part.length > OBJECT_BYTES_MAX) {
        await this.abandon();
        throw new LimitError('object bytes', this.#size + part.length, OBJECT_BYTES_MAX, `'${this.#name}'`);
      }
      this.#digest.update(part);
      for (let at = 0; at < part.length;) {
        const filled = this.#size % PIECE_BYTES;
        if (filled === 0) this.#pieces.push(this.#pool.take());
        const source = part.subarray(at, at + PIECE_BYTES - filled);
        this.#pieces[this.#pieces.length - 1]?.set(source, filled);
        at += source.length;
        this.#size += source.length;
      }
    }
  }

  async commit(): Promise<void> {
    assert(this.#open, 'the writer is open');
    this.#open = false;
    const parts = this.#pieces.map((piece, i) => piece.subarray(0, this.#size - i * PIECE_BYTES));
    try {
      await createObject(this.#client, this.#name, { parts, bytes: this.#size, digest: this.#digest.digest('hex') });
    } finally {
      this.#free();
    }
  }

  async abandon(): Promise<void> {
    if (!this.#open) return; // a commit under way still needs its pieces
    this.#open = false;
    this.#free();
  }

  #free(): void {
    this.#pool.give(this.#pieces);
    this.#pieces = [];
  }
}
