/** From a content record to the bytes of the file: decrypt, take the offset off, decompress. Output is always bounded. */
import { createDecipheriv } from 'node:crypto';
import { FormatError, type Limits, UnsupportedError } from '../../core/index.ts';
import { decodeLzo1x, decodeZlib, decodeZstd } from '../compression/index.ts';
import { COMPRESSION_MAGIC, compressionLayout, sparseLayout } from './content.layout.ts';
import type { ContentKey } from './pki.ts';
import type { DataStream } from './stream.ts';

/** Sizes tried for an LZO block, whose expanded size is not stored; Bacula's default buffer is 64 KiB. */
const LZO_SIZES = [128 << 10, 1 << 20];

/** Shared, because even an empty array costs each small file more time than its bytes. */
const nothing = new Uint8Array(0);

/** Bytes of a file at an offset; `offset` is undefined where they follow the ones before. A view, valid until the next call. */
export interface Chunk {
  readonly offset: number | undefined;
  readonly bytes: Uint8Array;
}

/** Decodes the chunks of one content stream. */
export class ChunkDecoder {
  readonly #stream: DataStream;
  readonly #limits: Limits;
  #scratch = nothing;

  constructor(stream: DataStream, limits: Limits) {
    this.#stream = stream;
    this.#limits = limits;
  }

  /** @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} a compression that is not known. */
  decode(chunk: Uint8Array): Chunk {
    if (!this.#stream.sparse) return { offset: undefined, bytes: this.#expand(chunk) };
    const offset = sparseLayout.view(chunk).FileAddr;
    return { offset, bytes: this.#expand(chunk.subarray(sparseLayout.size)) };
  }

  #expand(packed: Uint8Array): Uint8Array {
    const { baculaExpandedBytesMax } = this.#limits;
    switch (this.#stream.packing) {
      case 'plain': return packed;
      case 'gzip': return decodeZlib(packed, baculaExpandedBytesMax);
      case 'compressed': break;
    }
    const head = compressionLayout.view(packed);
    const body = packed.subarray(compressionLayout.size);
    if (head.size !== body.length) {
      throw new FormatError('Read compressed chunk', { structure: 'comp_stream_header', field: 'size', found: head.size, expected: body.length });
    }
    switch (head.magic) {
      case COMPRESSION_MAGIC.lzo1x: return this.#lzo(body);
      case COMPRESSION_MAGIC.gzip: return decodeZlib(body, baculaExpandedBytesMax);
      case COMPRESSION_MAGIC.zstd: return decodeZstd(body, baculaExpandedBytesMax);
      case COMPRESSION_MAGIC.none: return body;
      default: throw new UnsupportedError(`Read compressed chunk: compression '0x${head.magic.toString(16)}' is not supported, expected LZO, gzip or Zstandard`, { magic: head.magic });
    }
  }

  #lzo(body: Uint8Array): Uint8Array {
    for (const size of LZO_SIZES) {
      if (size >= this.#limits.baculaExpandedBytesMax) break;
      if (this.#scratch.length < size) this.#scratch = new Uint8Array(size);
      try {
        return this.#scratch.subarray(0, decodeLzo1x(body, this.#scratch));
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }
    const largest = new Uint8Array(this.#limits.baculaExpandedBytesMax);
    return largest.subarray(0, decodeLzo1x(body, largest));
  }
}

/** Decrypts the records of one file and splits the plain text into chunks: each is a u32 length and that many bytes. */
export class FrameDecoder {
  readonly #decipher: ReturnType<typeof createDecipheriv>;
  readonly #bytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(key: ContentKey, limits: Limits) {
    this.#decipher = createDecipheriv(key.cipher, key.key, key.iv);
    this.#bytesMax = limits.baculaExpandedBytesMax + 64;
  }

  /** Chunks that `record` completes. @throws {FormatError} a chunk is longer than any chunk may be. */
  push(record: Uint8Array): readonly Uint8Array[] {
    return this.#split(this.#decipher.update(record));
  }

  /** Ends the stream. @throws {FormatError} the padding is wrong or a chunk is cut short. */
  end(): readonly Uint8Array[] {
    let last: Buffer;
    try {
      last = this.#decipher.final();
    } catch (error) {
      throw new FormatError('Decrypt content', { structure: 'encrypted stream', field: 'padding' }, error);
    }
    const chunks = this.#split(last);
    if (this.#rest.length > 0) throw new FormatError('Decrypt content', { structure: 'encrypted stream', field: 'chunk', found: this.#rest.length, expected: 'a whole chunk' });
    return chunks;
  }

  #split(plain: Buffer): readonly Uint8Array[] {
    const all = this.#rest.length === 0 ? plain : Buffer.concat([this.#rest, plain]);
    const chunks: Uint8Array[] = [];
    let at = 0;
    while (at + 4 <= all.length) {
      const size = all.readUInt32BE(at);
      if (size > this.#bytesMax) throw new FormatError('Decrypt content', { structure: 'encrypted stream', field: 'length', found: size, expected: `at most ${this.#bytesMax}` });
      if (at + 4 + size > all.length) break;
      chunks.push(all.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    this.#rest = all.subarray(at);
    return chunks;
  }
}
