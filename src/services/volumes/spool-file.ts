/** A file of the spool: whole reads and writes at offsets, errors that say what was tried. */
import * as fs from 'node:fs';
import { ToolError } from '../../core/index.ts';

/** Runs a call of the filesystem. @throws {ToolError} with what was tried, the path and the errno. */
export async function spoolCall<T>(action: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new ToolError(`${action} '${path}': ${code ?? error.message}`, { path, errno: code }, error);
  }
}

/** Makes the names of a directory durable. @throws {ToolError} */
export function syncDirectory(path: string): Promise<void> {
  return spoolCall('Sync directory', path, async () => {
    const handle = await fs.promises.open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/** One open file. */
export class SpoolFile {
  readonly path: string;
  readonly #handle: fs.promises.FileHandle;

  private constructor(path: string, handle: fs.promises.FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** For a thread that writes by itself; valid until {@link close}. */
  get descriptor(): number {
    return this.#handle.fd;
  }

  /** @throws {ToolError} */
  static async open(path: string, flags: 'r+' | 'wx+'): Promise<SpoolFile> {
    return new SpoolFile(path, await spoolCall('Open spool file', path, () => fs.promises.open(path, flags, 0o600)));
  }

  /** Bytes. @throws {ToolError} */
  async size(): Promise<number> {
    return (await spoolCall('Ask for size of', this.path, () => this.#handle.stat())).size;
  }

  /** Fills `target`, as far as the file goes. @returns bytes read. @throws {ToolError} */
  async read(offset: number, target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await spoolCall('Read', this.path, () => this.#handle.read(target, done, target.length - done, offset + done));
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  /** Writes all of `bytes`. @throws {ToolError} disk full, … */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await spoolCall('Write', this.path, () => this.#handle.write(bytes, done, bytes.length - done, offset + done));
      if (bytesWritten === 0) throw new ToolError(`Write '${this.path}': nothing was written`, { path: this.path, errno: 'EIO' });
      done += bytesWritten;
    }
  }

  /** @throws {ToolError} */
  async truncate(size: number): Promise<void> {
    await spoolCall('Truncate', this.path, () => this.#handle.truncate(size));
  }

  /** @throws {ToolError} what was not durable before is lost then. */
  async sync(): Promise<void> {
    await spoolCall('Sync', this.path, () => this.#handle.sync());
  }

  /** As {@link sync}, but for times. @throws {ToolError} */
  async syncData(): Promise<void> {
    await spoolCall('Sync', this.path, () => this.#handle.datasync());
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
