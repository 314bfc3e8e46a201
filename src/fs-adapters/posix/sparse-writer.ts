/** Writes at offsets into a new file; may leave long runs of zeroes out, as holes. */
import { systemError, errno, type SystemCalls } from './system-calls.ts';

const BLOCK_BYTES = 4096;
/** Shorter runs are written: a hole costs an extent. */
const RUN_BYTES_MIN = 64 << 10;
const zeroes = new Uint8Array(1 << 20);

/** A run of zeroes is held back until it is known to be long; `finish` settles the last one. */
export class SparseWriter {
  /** Highest offset written or left out so far. */
  end = 0;
  /** Bytes given to `write`. */
  bytes = 0;
  /** Size that the file has by what was really written. */
  stored = 0;
  readonly #calls: SystemCalls;
  readonly #fd: number;
  readonly #sparse: boolean;
  readonly #name: () => string;
  #zeroStart = 0;
  #zeroEnd = 0;

  /** `name` is asked only for messages. */
  constructor(calls: SystemCalls, fd: number, sparse: boolean, name: () => string) {
    this.#calls = calls;
    this.#fd = fd;
    this.#sparse = sparse;
    this.#name = name;
  }

  /** @throws {ToolError} when the system refuses. */
  write(offset: number, bytes: Uint8Array): void {
    if (this.#sparse) this.#writeSparse(offset, bytes);
    else this.#put(offset, bytes);
    this.bytes += bytes.length;
    this.end = Math.max(this.end, offset + bytes.length);
  }

  /** Writes the held run if it is short. */
  finish(): void {
    const length = this.#zeroEnd - this.#zeroStart;
    if (length > 0 && length < RUN_BYTES_MIN) this.#put(this.#zeroStart, zeroes.subarray(0, length));
    this.#zeroStart = this.#zeroEnd = 0;
  }

  #writeSparse(offset: number, bytes: Uint8Array): void {
    if (offset !== this.#zeroEnd) this.finish();
    let dataStart = 0;
    let at = (BLOCK_BYTES - offset % BLOCK_BYTES) % BLOCK_BYTES;
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
      if (bytes[at] !== 0 || Buffer.compare(bytes.subarray(at, at + BLOCK_BYTES), zeroes.subarray(0, BLOCK_BYTES)) !== 0) continue;
      if (at > dataStart) this.#putAfterRun(offset + dataStart, bytes.subarray(dataStart, at));
      if (this.#zeroEnd !== offset + at) {
        this.finish();
        this.#zeroStart = offset + at;
      }
      this.#zeroEnd = offset + at + BLOCK_BYTES;
      dataStart = at + BLOCK_BYTES;
    }
    if (dataStart < bytes.length) this.#putAfterRun(offset + dataStart, bytes.subarray(dataStart));
  }

  #putAfterRun(offset: number, bytes: Uint8Array): void {
    this.finish();
    this.#put(offset, bytes);
  }

  #put(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const count = this.#calls.write(this.#fd, done === 0 ? bytes : bytes.subarray(done), offset + done);
      if (count === -errno.EINTR) continue;
      if (count <= 0) throw systemError(`Write '${this.#name()}' at ${offset + done}`, count === 0 ? -errno.EIO : count);
      done += count;
    }
    this.stored = Math.max(this.stored, offset + bytes.length);
  }
}
