/** Buffered output with back-pressure: one write per 64 KiB instead of one per line. */
import type { Writable } from 'node:stream';

const bufferedMax = 64 << 10;

/** Writes text to a stream that it doesn't own. */
export class TextWriter {
  readonly #stream: Writable;
  #parts: string[] = [];
  #size = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Resolves at once unless the buffer is full and the stream is slow. */
  write(text: string): Promise<void> | void {
    this.#parts.push(text);
    this.#size += text.length;
    if (this.#size >= bufferedMax) return this.flush();
  }

  /** Resolves when the stream took everything. */
  flush(): Promise<void> {
    const text = this.#parts.join('');
    this.#parts = [];
    this.#size = 0;
    return writeAll(this.#stream, text);
  }
}

/** Writes to a stream and waits until the bytes may be reused. @throws the stream's error. */
export function writeAll(stream: Writable, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
