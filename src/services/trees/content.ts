/** Reading a file's content whole: in pieces, without its holes, digested, or beside another one. */
import { createHash, type Hash } from 'node:crypto';
import { AbortedError, equalBytes, type BlockSource, type ContentVisitor } from '../../core/index.ts';

/** Bytes of one sequential read. */
export const pieceBytes: number = 1 << 20;

/** Digests that the command line offers. */
export type DigestName = 'sha256' | 'md5';

/**
 * Reads `[from, to)` of a source through `buffer`, skipping holes and known zeroes.
 * @throws {AbortedError} when `signal` fires between two pieces. @throws {IntegrityError} from the source.
 */
export async function readContent(
  source: BlockSource,
  sink: ContentVisitor,
  buffer: Uint8Array,
  range: { readonly from?: number; readonly to?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { from = 0, to = source.size, signal } = range;
  if (source.visit !== undefined && from === 0 && to === source.size) {
    return source.visit({
      data: (offset, bytes) => {
        if (signal?.aborted === true) throw new AbortedError();
        return sink.data(offset, bytes);
      },
      empty: (offset, length) => sink.empty(offset, length),
    });
  }
  for await (const extent of source.extents(from, to - from)) {
    if (extent.kind !== 'data') {
      await sink.empty(extent.offset, extent.length);
      continue;
    }
    const end = extent.offset + extent.length;
    for (let offset = extent.offset; offset < end; offset += buffer.length) {
      if (signal?.aborted === true) throw new AbortedError();
      const piece = buffer.subarray(0, Math.min(buffer.length, end - offset));
      await source.readInto(offset, piece, { sequential: true });
      await sink.data(offset, piece);
    }
  }
}

const zeroes = new Uint8Array(pieceBytes);

/** A running digest of a content whose holes are only known by their length. */
export class ContentDigest {
  readonly #hash: Hash;

  constructor(name: DigestName) {
    this.#hash = createHash(name);
  }

  data(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  empty(length: number): void {
    for (let left = length; left > 0; left -= zeroes.length) this.#hash.update(left < zeroes.length ? zeroes.subarray(0, left) : zeroes);
  }

  /** Lower-case hexadecimal; ends the digest. */
  hex(): string {
    return this.#hash.digest('hex');
  }
}

/** Digest of a whole source, read through `buffer`. @throws what the source throws. */
export async function digestOf(source: BlockSource, name: DigestName, buffer: Uint8Array = new Uint8Array(pieceBytes)): Promise<string> {
  const digest = new ContentDigest(name);
  await readContent(source, { data: (_, bytes) => digest.data(bytes), empty: (_, length) => digest.empty(length) }, buffer);
  return digest.hex();
}

/** Whether two sources hold the same bytes; stops at the first difference. @throws what the sources throw. */
export async function sameContent(a: BlockSource, b: BlockSource): Promise<boolean> {
  if (a.size !== b.size) return false;
  const left = new Uint8Array(Math.min(pieceBytes, a.size));
  const right = new Uint8Array(left.length);
  for (let offset = 0; offset < a.size; offset += left.length) {
    const length = Math.min(left.length, a.size - offset);
    const options = { sequential: true };
    await Promise.all([a.readInto(offset, left.subarray(0, length), options), b.readInto(offset, right.subarray(0, length), options)]);
    if (!equalBytes(left.subarray(0, length), right.subarray(0, length))) return false;
  }
  return true;
}
