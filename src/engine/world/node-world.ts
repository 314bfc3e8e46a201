/**
 * The real World: one directory of a local filesystem, the system's clock and randomness.
 *
 * Reads and writes are synchronous calls inside promise-returning methods: page-cache I/O in worker pools costs 3–10×
 * more per call. Only `sync` goes to the thread pool, because it is the one call that really waits for a device.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { BusyError, NotFoundError, ToolError, type Disk, type DiskEntry, type DiskFile, type DiskLock, type World } from '../../core/index.ts';
import { makeDirectories } from './make-directories.ts';
import { takeLock } from './process-lock.ts';

interface SystemError extends Error {
  readonly code?: string;
}

/** What opening a name says when there is no file: nothing at all, a file among its directories, a directory, a socket or device. */
const notAFile = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENXIO', 'ENODEV']);

function systemCode(error: unknown): string {
  return (error as SystemError).code ?? 'UNKNOWN';
}

/** Wraps an error of the system; `action` says what was done to which file. */
function wrap(action: string, error: unknown): Error {
  const code = systemCode(error);
  const hint = code === 'ENOSPC' || code === 'EDQUOT' ? ': the disk is full' : '';
  return new ToolError(`${action}: ${code}${hint}`, { errno: code }, error);
}

/** Opens a file, and does not wait where a FIFO is instead. */
function openFile(file: string, flags: number): number {
  try {
    return fs.openSync(file, flags | fs.constants.O_NONBLOCK);
  } catch (error) {
    // Samba or a server of NFS has a lease on it, which the kernel now takes back: worth waiting for.
    if (systemCode(error) !== 'EAGAIN' || !fs.statSync(file).isFile()) throw error;
    return fs.openSync(file, flags);
  }
}

class NodeFile implements DiskFile {
  size: number;
  readonly #fd: number;
  readonly #name: string;
  #open = true;

  constructor(fd: number, name: string, size: number) {
    this.#fd = fd;
    this.#name = name;
    this.size = size;
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < target.length) {
        const count = fs.readSync(this.#fd, target, done, target.length - done, offset + done);
        if (count === 0) {
          return Promise.reject(new RangeError(`Read '${this.#name}': range '${offset}+${target.length}' ends at '${offset + done}'`));
        }
        done += count;
      }
    } catch (error) {
      return Promise.reject(wrap(`Read '${this.#name}' at ${offset}`, error));
    }
    return Promise.resolve();
  }

  writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void> {
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    try {
      let written = total === 0 ? 0 : fs.writevSync(this.#fd, parts as Uint8Array[], offset);
      // A short vectored write is rare (signals, quota edges): finish it part by part.
      let before = 0;
      for (const part of parts) {
        while (written < before + part.length) {
          const skip = written - before;
          written += fs.writeSync(this.#fd, part, skip, part.length - skip, offset + written);
        }
        before += part.length;
      }
    } catch (error) {
      return Promise.reject(wrap(`Write '${this.#name}' at ${offset}`, error));
    }
    this.size = Math.max(this.size, offset + total);
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    try {
      fs.ftruncateSync(this.#fd, size);
    } catch (error) {
      return Promise.reject(wrap(`Truncate '${this.#name}' to ${size}`, error));
    }
    this.size = size;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error === null) resolve();
        else reject(wrap(`Sync '${this.#name}'`, error));
      });
    });
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      fs.closeSync(this.#fd);
    }
    return Promise.resolve();
  }
}

class NodeDisk implements Disk {
  readonly #root: string;

  constructor(root: string) {
    this.#root = path.resolve(root);
  }

  #at(name: string): string {
    return name === '' ? this.#root : path.join(this.#root, name);
  }

  async open(name: string, mode: 'read' | 'write'): Promise<DiskFile> {
    let fd: number;
    try {
      fd = openFile(this.#at(name), mode === 'read' ? fs.constants.O_RDONLY : fs.constants.O_RDWR);
    } catch (error) {
      if (notAFile.has(systemCode(error))) throw this.#absent(name, error);
      throw wrap(`Open '${this.#at(name)}'`, error);
    }
    const stat = fs.fstatSync(fd);
    if (stat.isFile()) return new NodeFile(fd, this.#at(name), stat.size);
    fs.closeSync(fd);
    throw this.#absent(name);
  }

  async create(name: string): Promise<DiskFile> {
    try {
      return new NodeFile(fs.openSync(this.#at(name), 'wx+', 0o600), this.#at(name), 0);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw new BusyError(`Create '${this.#at(name)}': it exists already`, { path: name });
      throw wrap(`Create '${this.#at(name)}'`, error);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call(`Rename '${this.#at(from)}' to '${to}'`, () => fs.renameSync(this.#at(from), this.#at(to)));
  }

  async link(from: string, to: string): Promise<void> {
    try {
      fs.linkSync(this.#at(from), this.#at(to));
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw new BusyError(`Create '${this.#at(to)}': it exists already`, { path: to });
      throw wrap(`Link '${this.#at(from)}' to '${to}'`, error);
    }
  }

  async remove(name: string): Promise<void> {
    this.#call(`Remove '${this.#at(name)}'`, () => fs.rmSync(this.#at(name), { force: true }));
  }

  async removeTree(name: string): Promise<void> {
    this.#call(`Remove '${this.#at(name)}'`, () => fs.rmSync(this.#at(name), { force: true, recursive: true }));
  }

  async makeDirectory(name: string): Promise<void> {
    const isNew = name === '' && !fs.existsSync(this.#root);
    this.#call(`Create directory '${this.#at(name)}'`, () => { makeDirectories(this.#at(name)); });
    if (isNew) this.#call(`Sync directory '${path.dirname(this.#root)}'`, () => { syncNow(path.dirname(this.#root)); });
  }

  async list(name: string): Promise<readonly DiskEntry[]> {
    let entries: fs.Dirent[];
    try {
      entries = fs.readdirSync(this.#at(name), { withFileTypes: true });
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
      throw wrap(`List '${this.#at(name)}'`, error);
    }
    const rows = [];
    for (const entry of entries) {
      const directory = entry.isDirectory();
      // A file may go away between listing and lstat: then it is not there.
      const stat = directory ? undefined : fs.lstatSync(path.join(this.#at(name), entry.name), { throwIfNoEntry: false });
      if (directory || stat !== undefined) rows.push({ name: entry.name, directory, size: stat?.size ?? 0, modified: Math.floor(stat?.mtimeMs ?? 0) });
    }
    return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async exists(name: string): Promise<boolean> {
    return fs.existsSync(this.#at(name));
  }

  syncDirectory(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const where = this.#at(name);
      fs.open(where, 'r', (openError, fd) => {
        if (openError !== null) return reject(wrap(`Open directory '${where}'`, openError));
        fs.fsync(fd, (error) => {
          fs.closeSync(fd);
          if (error === null) resolve();
          else reject(wrap(`Sync directory '${where}'`, error));
        });
      });
    });
  }

  nativePath(name: string): string {
    return this.#at(name);
  }

  lock(name: string, description: string): Promise<DiskLock> {
    return takeLock(this.#at(name), description);
  }

  #absent(name: string, cause?: unknown): NotFoundError {
    return new NotFoundError(`Open '${this.#at(name)}': no such file`, { path: name }, cause);
  }

  #call(action: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      throw wrap(action, error);
    }
  }
}

/** The root's name is in a directory that the disk does not see. */
function syncNow(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** A World over a directory, which need not exist yet. File modes are 0600, directories 0700. */
export function nodeWorld(rootDirectory: string): World {
  return {
    disk: new NodeDisk(rootDirectory),
    now: () => Date.now(),
    sleep: (milliseconds, signal) => new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      if (signal?.aborted === true) end();
      else signal?.addEventListener('abort', end, { once: true });
    }),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  };
}
