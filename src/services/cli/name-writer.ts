/** The lines of a plain listing: bytes go from the directory to the output, most of them without becoming text on the way. */
import type { Writable } from 'node:stream';
import { formatPathText, isPlainByte } from '../locations/path-text.ts';
import { childPath } from '../trees/walk.ts';
import { writeAll } from './text-writer.ts';

const BUFFER_BYTES = 64 << 10;
const NEWLINE = 0x0a;
const none = new Uint8Array(0);

/** Whether a path is printed as it is. */
function isPlain(path: Uint8Array): boolean {
  return path.every(isPlainByte);
}

/** Writes names to a stream that it doesn't own. */
export class NameWriter {
  readonly #stream: Writable;
  readonly #whole: boolean;
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #used = 0;
  #directory: Uint8Array | undefined;
  /** What stands before the names of `#directory`; undefined where it has bytes that are escaped. */
  #prefix: Uint8Array | undefined;

  /** With `whole`, paths are written, without it names. */
  constructor(stream: Writable, whole: boolean) {
    this.#stream = stream;
    this.#whole = whole;
  }

  /** A line for each entry of a directory. Resolves when the entries are no longer needed; not all of them need have been written. */
  async write(directory: Uint8Array, entries: readonly { readonly name: Uint8Array }[]): Promise<void> {
    if (this.#directory !== directory) {
      this.#directory = directory;
      this.#prefix = !this.#whole ? none : isPlain(directory) ? childPath(directory, none) : undefined;
    }
    for (let next = this.#appendAll(entries, 0); next < entries.length; next = this.#appendAll(entries, next + 1)) await this.#appendSlowly((entries[next] as { readonly name: Uint8Array }).name);
  }

  /** Appends entries from `first` on as far as that is simple. Returns the index of the next one. */
  #appendAll(entries: readonly { readonly name: Uint8Array }[], first: number): number {
    let next = first;
    while (next < entries.length && this.#append((entries[next] as { readonly name: Uint8Array }).name)) next += 1;
    return next;
  }

  /** Copies a line into the buffer, if it is plain and there is room. */
  #append(name: Uint8Array): boolean {
    const prefix = this.#prefix;
    const buffer = this.#buffer;
    if (prefix === undefined || this.#used + prefix.length + name.length >= BUFFER_BYTES) return false;
    let at = this.#used;
    // By hand: `set` costs more than such a short copy.
    for (let i = 0; i < prefix.length; i += 1) buffer[at++] = prefix[i] as number;
    for (let i = 0; i < name.length; i += 1) {
      const byte = name[i] as number;
      if (!isPlainByte(byte)) return false;
      buffer[at++] = byte;
    }
    buffer[at++] = NEWLINE;
    this.#used = at;
    return true;
  }

  async #appendSlowly(name: Uint8Array): Promise<void> {
    const line = Buffer.from(`${formatPathText(this.#whole ? childPath(this.#directory ?? none, name) : name)}\n`);
    if (this.#used + line.length > BUFFER_BYTES) await this.flush();
    if (line.length > BUFFER_BYTES) await writeAll(this.#stream, line);
    else {
      this.#buffer.set(line, this.#used);
      this.#used += line.length;
    }
  }

  /** Resolves when the stream took everything. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    await writeAll(this.#stream, this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
