/** Where a writer puts an image: bytes one behind the other, so that a pipe will do. */

/** Takes an image from its beginning to its end. A call is made when the promise of the one before has resolved. */
export interface ImageSink {
  /** Appends; `bytes` may be used again when the promise has resolved. */
  write(bytes: Uint8Array): Promise<void>;
  /** Appends zeroes; a file may have a hole there. */
  skip(length: number): Promise<void>;
}

/** Counts what went to a sink, so that a writer can say "up to here". */
export class CountingSink implements ImageSink {
  readonly #inner: ImageSink;
  #at = 0;

  constructor(inner: ImageSink) {
    this.#inner = inner;
  }

  /** Bytes so far. */
  get at(): number {
    return this.#at;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#inner.write(bytes);
    this.#at += bytes.length;
  }

  async skip(length: number): Promise<void> {
    if (length === 0) return;
    await this.#inner.skip(length);
    this.#at += length;
  }

  /** Appends zeroes up to `end`. @throws {RangeError} when more is there already. */
  async skipTo(end: number): Promise<void> {
    if (end < this.#at) throw new RangeError(`Write image: at '${this.#at}', which is behind '${end}'`);
    await this.skip(end - this.#at);
  }
}
