/** Files and block devices of the host as BlockSources. */
import * as fs from 'node:fs';
import { AbortedError, checkRange, IntegrityError, NotFoundError, UnsupportedError, type BlockSource, type Extent, type ReadOptions } from '../../core/index.ts';
import { loadCalls } from './load-calls.ts';
import { nodeType } from './stat-record.ts';
import { errno, systemError, type SystemCalls } from './system-calls.ts';

/** Files up to this size are not worth the call that asks for read-ahead. */
const ADVISE_BYTES_MIN = 1 << 20;

/**
 * Reads an open descriptor with blocking calls inside promise-returning methods: page-cache reads in a thread pool cost
 * 3–10 times more per call. The size is that at open: what grew is read up to it, what shrank is an error.
 */
export class FileSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 512;
  readonly #calls: SystemCalls;
  readonly #fd: number;
  readonly #path: () => string;
  readonly #dense: boolean;
  #open = true;
  #advised = false;

  /** Takes over `fd`. `dense`: known to have no holes. `path` is asked only for messages. */
  constructor(calls: SystemCalls, fd: number, size: number, options: { readonly dense: boolean; readonly path: () => string }) {
    this.#calls = calls;
    this.#fd = fd;
    this.size = size;
    this.#dense = options.dense;
    this.#path = options.path;
  }

  // Not `async`: one promise less per read.
  readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    try {
      this.#read(offset, target, options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return Promise.resolve();
  }

  #read(offset: number, target: Uint8Array, options: ReadOptions | undefined): void {
    checkRange(this, offset, target.length, 'file');
    if (options?.signal?.aborted === true) throw new AbortedError();
    this.#checkOpen();
    // The kernel reads a small file in one go anyway.
    if (options?.sequential === true && !this.#advised && this.size > ADVISE_BYTES_MIN) {
      this.#advised = true;
      this.#calls.adviseSequential(this.#fd);
    }
    let done = 0;
    while (done < target.length) {
      const count = this.#calls.read(this.#fd, done === 0 ? target : target.subarray(done), offset + done);
      if (count === -errno.EINTR) continue;
      if (count < 0) throw systemError(`Read '${this.#path()}' at ${offset + done}`, count);
      if (count === 0) throw this.#shrank(offset + done);
      done += count;
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'file extents');
    const end = offset + length;
    let at = offset;
    while (at < end) {
      this.#checkOpen();
      const data = this.#dense ? at : this.#seek(at, true);
      if (data > at) {
        const stop = Math.min(data, end);
        yield { offset: at, length: stop - at, kind: 'hole' };
        at = stop;
        continue;
      }
      const stop = Math.min(this.#dense ? end : this.#seek(at, false), end);
      yield { offset: at, length: stop - at, kind: 'data' };
      at = stop;
    }
  }

  /** Next data or hole. A filesystem that cannot tell (EINVAL) has data everywhere. */
  #seek(at: number, data: boolean): number {
    const found = this.#calls.seek(this.#fd, at, data);
    if (found >= 0) return found > at || data ? found : this.size;
    if (found === -errno.EINVAL) return data ? at : this.size;
    if (found !== -errno.ENXIO) throw systemError(`Find holes of '${this.#path()}' at ${at}`, found);
    // No data up to the end: a hole, unless the end has moved, which must not look like zeroes.
    this.#calls.statFd(this.#fd);
    if (this.#calls.record.size < this.size) throw this.#shrank(this.#calls.record.size);
    return this.size;
  }

  #shrank(at: number): IntegrityError {
    return new IntegrityError(`Read '${this.#path()}': it ended at '${at}', expected '${this.size}' bytes: it shrank while it was read`, {
      path: this.#path(), found: at, expected: this.size,
    });
  }

  #checkOpen(): void {
    if (!this.#open) throw new RangeError(`Read '${this.#path()}': it is closed`);
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#calls.close(this.#fd);
    }
    return Promise.resolve();
  }
}

/**
 * Opens a file or block device of the host for reading; symlinks are followed, `path` is bytes or text.
 * @throws {NotFoundError} @throws {UnsupportedError} for anything else. @throws {ToolError} when the system refuses.
 */
export async function fileSource(path: Uint8Array | string, calls: SystemCalls = loadCalls()): Promise<FileSource> {
  const text = typeof path === 'string' ? path : Buffer.from(path).toString();
  let fd: number;
  try {
    // Not blocking: opening a fifo would wait for a writer.
    fd = fs.openSync(typeof path === 'string' ? path : Buffer.from(path), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).errno;
    if (code === undefined) throw error;
    if (code === -errno.ENOENT) throw new NotFoundError(`Open '${text}': no such file`, { path: text }, error);
    throw systemError(`Open '${text}'`, code);
  }
  const failed = calls.statFd(fd);
  const { mode, size, blocks } = calls.record;
  const type = nodeType(mode);
  if (failed === 0 && type === 'file') return new FileSource(calls, fd, size, { dense: blocks * 512 >= size, path: () => text });
  if (failed === 0 && type === 'block') return new FileSource(calls, fd, calls.deviceSize(fd), { dense: true, path: () => text });
  calls.close(fd);
  if (failed < 0) throw systemError(`Open '${text}'`, failed);
  throw new UnsupportedError(`Open '${text}': it is a ${type}, expected a file or block device`, { path: text });
}
