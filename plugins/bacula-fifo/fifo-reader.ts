/**
 * Reads what one writer after another writes into a FIFO. Bacula's storage daemon opens a FIFO device and closes it again without writing, to see whether it is
 * there, before it opens it for a job: a writer that wrote nothing is passed over.
 */
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NotFoundError, ToolError, UsageError } from '../../src/core/index.ts';

/** Milliseconds between two looks whether a writer came. */
const POLL_MS = 20;

/** Whether a path is a FIFO. @throws {NotFoundError} @throws {UsageError} it is something else. */
export function checkFifo(path: string): void {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new NotFoundError(`Open FIFO '${path}': no such file; make it with mkfifo`, { path });
  if (!stat.isFIFO()) throw new UsageError(`Open FIFO '${path}': it is not a FIFO`, { path });
}

/** One at a time reads a FIFO. It stays open between writers, so that none finds it without a reader. */
export class FifoReader {
  readonly #path: string;
  readonly #handle: fs.promises.FileHandle;

  private constructor(path: string, handle: fs.promises.FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Opens without waiting for a writer. @throws {NotFoundError} @throws {UsageError} @throws {ToolError} */
  static async open(path: string): Promise<FifoReader> {
    checkFifo(path);
    // Opening for reading waits for a writer: for a moment that is us.
    const writer = await fs.promises.open(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    try {
      return new FifoReader(path, await fs.promises.open(path, 'r'));
    } finally {
      await writer.close();
    }
  }

  /**
   * Waits for a writer that writes, and hands over its bytes in order until it closes. `bytes` is valid until `take` resolves.
   * @throws {ToolError} @throws what `take` throws.
   */
  async readWriter(take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    const buffer = new Uint8Array(1 << 20);
    for (let total = 0; ;) {
      const count = await this.#read(buffer);
      if (count > 0) {
        total += count;
        await take(buffer.subarray(0, count));
      } else if (total > 0) return;
      else await sleep(POLL_MS);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #read(buffer: Uint8Array): Promise<number> {
    try {
      return (await this.#handle.read(buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new ToolError(`Read FIFO '${this.#path}': ${code ?? String(error)}`, { path: this.#path, errno: code }, error);
    }
  }
}
