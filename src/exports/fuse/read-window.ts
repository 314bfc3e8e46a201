/**
 * Reading ahead for a handle that the kernel does not read ahead for (direct I/O): a reader that goes on where it ended is answered out of
 * windows of 1 MiB, the next of which is fetched meanwhile. Windows that a change came between are never used; one that ends where the file
 * ended stays true when it is appended to.
 */
import type { OpenStoredFile } from './file-store.ts';
import { Lent } from './handler.ts';

const windowBytes = 1 << 20;
/** Buffers that wait for their next window: a new one for each would make the collector of garbage the busiest part of a restore. */
const buffersKept = 3;

/** Counts changes of a file: before and after each one, so that what was read during it counts as old too. */
export interface FileVersion {
  version: number;
}

/** One piece of the file in a buffer that goes back when nobody needs it. */
class Window {
  readonly start: number;
  readonly end: number;
  readonly version: number;
  readonly loaded: Promise<Uint8Array>;
  /** Set when it has come: then readers need not wait for a promise. */
  bytes: Uint8Array | undefined;
  readonly #giveBack: () => void;
  /** Who may still touch the buffer: the load, the owner, readers that wait. */
  #users = 2;

  constructor({ start, end }: { readonly start: number; readonly end: number }, version: number, { load, giveBack }: { readonly load: Promise<Uint8Array>; readonly giveBack: () => void }) {
    this.start = start;
    this.end = end;
    this.version = version;
    this.loaded = load;
    this.#giveBack = giveBack;
    // Whoever reads from it gets the error; a window that nobody reads from is nobody's failure.
    load.then((bytes) => { this.bytes = bytes; }, () => undefined).finally(() => { this.drop(); });
  }

  use(): void {
    this.#users += 1;
  }

  drop(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#giveBack();
  }

  covers(offset: number, version: number): boolean {
    return this.version === version && offset >= this.start && offset < this.end;
  }
}

/** See the module's comment. */
export class ReadWindow {
  readonly #file: OpenStoredFile;
  readonly #version: FileVersion;
  readonly #free: Uint8Array[] = [];
  /** The window that was read from last, and the one behind it. */
  #windows: readonly Window[] = [];
  /** Where the last read ended. */
  #end = -1;

  constructor(file: OpenStoredFile, version: FileVersion) {
    this.#file = file;
    this.#version = version;
  }

  /**
   * Up to `size` bytes, fewer only at the end of the file. What is returned at once is valid until the next call; what a promise gives, until
   * it is released. @throws what the file throws.
   */
  read(offset: number, size: number): Uint8Array | Promise<Uint8Array | Lent> {
    const isOn = offset === this.#end;
    const length = Math.max(0, Math.min(size, this.#file.size - offset));
    this.#end = offset + length;
    if (!isOn || length === 0 || length > windowBytes / 2) return this.#load(offset, new Uint8Array(length));
    const window = this.#at(offset);
    const { bytes } = window;
    if (bytes !== undefined && offset + length <= window.start + bytes.length) return bytes.subarray(offset - window.start, offset - window.start + length);
    return this.#wait(window, offset, length);
  }

  /** The window over an offset. The one behind it is asked for, others are given back. */
  #at(offset: number): Window {
    const { version } = this.#version;
    const current = this.#windows.find((one) => one.covers(offset, version)) ?? this.#begin(offset);
    const { end } = current;
    const next = end < this.#file.size ? (this.#windows.find((one) => one.covers(end, version) && one.start === end) ?? this.#begin(end)) : undefined;
    const kept = next === undefined ? [current] : [current, next];
    for (const one of this.#windows) if (!kept.includes(one)) one.drop();
    this.#windows = kept;
    return current;
  }

  #begin(start: number): Window {
    const buffer = this.#free.pop() ?? new Uint8Array(windowBytes);
    const end = Math.min(start + windowBytes, this.#file.size);
    const load = this.#load(start, buffer.subarray(0, end - start));
    return new Window({ start, end }, this.#version.version, { load, giveBack: () => { if (this.#free.length < buffersKept) this.#free.push(buffer); } });
  }

  async #load(offset: number, target: Uint8Array): Promise<Uint8Array> {
    if (target.length > 0) await this.#file.readInto(offset, target);
    return target;
  }

  /** A range that ends behind the window, or whose window is on its way. */
  async #wait(window: Window, offset: number, length: number): Promise<Uint8Array | Lent> {
    const used: Window[] = [];
    const release = (): void => { for (const one of used) one.drop(); };
    const parts: Uint8Array[] = [];
    let done = 0;
    try {
      for (let from: Window | undefined = window; from !== undefined; from = done < length ? this.#at(offset + done) : undefined) {
        from.use();
        used.push(from);
        const bytes = await from.loaded;
        if (from.version !== this.#version.version) break;
        const piece = bytes.subarray(offset + done - from.start, offset + length - from.start);
        parts.push(piece);
        done += piece.length;
      }
    } catch (error) {
      release();
      throw error;
    }
    if (done === length) return new Lent(parts, release);
    release();
    return this.#load(offset, new Uint8Array(length));
  }
}
