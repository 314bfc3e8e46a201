/** Bytes at fixed offsets: the one interface behind volumes, disk images, partitions and files inside trees. */

/** How a read is meant. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** The caller goes on reading where this read ends: a wrapper may read ahead. */
  readonly sequential?: boolean;
}

/** What a range holds. `zero` and `hole` both read as zeroes; a `hole` also occupies no space in the source. */
export type ExtentKind = 'data' | 'zero' | 'hole';

/** A run of bytes of one kind; offset and length in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly kind: ExtentKind;
}

/** Takes content piece by piece. The next piece comes when the promise, if there is one, has resolved. */
export interface ContentVisitor {
  /** `bytes` is valid until the promise resolves, and must not be written to. */
  data(offset: number, bytes: Uint8Array): Promise<void> | void;
  /** A hole or a run of zeroes. */
  empty(offset: number, length: number): Promise<void> | void;
}

/**
 * Random-access bytes. Wrappers own what they wrap: `close()` cascades and is idempotent. Concurrent reads are allowed.
 * Conformance: `blockSourceSuite`.
 */
export interface BlockSource {
  /** Bytes, fixed for the life of the source, at most 2^53 − 1. */
  readonly size: number;
  /** Bytes, a power of two; unaligned reads are legal but may be slower. */
  readonly sectorSize: number;
  /**
   * Fills all of `target` from `offset`, never less. `target` belongs to the caller and is undefined after an error.
   * @throws {RangeError} when the range leaves `[0, size)`.
   * @throws {IntegrityError} when a checksum over the range does not hold.
   */
  readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void>;
  /** Covers `[offset, offset + length)` in order, without gaps or overlap. */
  extents(offset: number, length: number): AsyncIterable<Extent>;
  /**
   * Hands over the whole content in order, without a copy; only sources that hold content in pieces of their own have it. Covers
   * exactly `[0, size)`; errors as in `readInto`.
   */
  visit?(visitor: ContentVisitor): Promise<void>;
  close(): Promise<void>;
}

/** A source that can be written. */
export interface WritableBlockSource extends BlockSource {
  writeFrom(offset: number, bytes: Uint8Array): Promise<void>;
  writeZeroes(offset: number, length: number): Promise<void>;
  /** The range's content no longer matters; it reads as zeroes or as before. */
  trim(offset: number, length: number): Promise<void>;
  /** After it resolves, all earlier writes survive a crash. */
  flush(): Promise<void>;
}

/**
 * The range check that each implementation makes before it reads.
 * @throws {RangeError} naming what was read and the size.
 */
export function checkRange(source: { readonly size: number }, offset: number, length: number, what: string): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > source.size) {
    throw new RangeError(`Read ${what}: range '${offset}+${length}' leaves the source of '${source.size}' bytes`);
  }
}

/** Reads a range into a new buffer; for headers and tests, not for bulk data. */
export async function readRange(source: BlockSource, offset: number, length: number): Promise<Uint8Array> {
  checkRange(source, offset, length, 'range');
  const target = new Uint8Array(length);
  await source.readInto(offset, target);
  return target;
}
