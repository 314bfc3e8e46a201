/**
 * An advisory lock that ends with its process. Two means together, because neither is enough:
 *
 * - `flock` of the kernel, where koffi is there to call it: certain among all processes of one kernel, containers included.
 * - Create-once files, one per candidate: each writes its own, then looks who else is there. Two that meet see each other and at least one gives
 *   way. They say who holds the lock, reach over network filesystems, and serve where koffi does not load.
 *
 * Whoever can't be judged from here (another machine, another pid namespace without `flock`) is believed to be alive.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import * as os from 'node:os';
import * as path from 'node:path';
import { BusyError, ToolError, type DiskLock } from '../../core/index.ts';
import { makeDirectories } from './make-directories.ts';

interface Holder {
  readonly host: string;
  /** Identity of the running kernel: the same in all its containers. */
  readonly boot: string;
  readonly machine: string;
  readonly pidNamespace: string;
  readonly pid: number;
  readonly started: string;
  /** Whether it holds the `flock` as well. */
  readonly flock: boolean;
  readonly description: string;
}

const LOCK_EXCLUSIVE_NOW = 2 | 4;
const FLOCK_FILE = 'flock';

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Field 22 of /proc/PID/stat: the start time in clock ticks, so that a reused pid is not taken for the holder. */
function startTime(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function pidNamespace(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function describeSelf(description: string, flock: boolean): Holder {
  return {
    host: os.hostname(), boot: readText('/proc/sys/kernel/random/boot_id'), machine: readText('/etc/machine-id'), pidNamespace: pidNamespace(),
    pid: process.pid, started: startTime(process.pid), flock, description,
  };
}

function isAlive(holder: Holder, self: Holder): boolean {
  if (holder.boot !== self.boot || self.boot === '') {
    // The same machine has booted since, or it is another machine: only the first surely ended the holder.
    return self.machine === '' || holder.machine !== self.machine || holder.host !== self.host;
  }
  if (self.flock && holder.flock) return false; // it would hold the flock that we have
  if (holder.pidNamespace !== self.pidNamespace) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
  return holder.started === '' || startTime(holder.pid) === holder.started;
}

function parseHolder(file: string): Holder | undefined {
  try {
    const parsed: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    const holder = parsed as Holder | null;
    return typeof holder === 'object' && typeof holder?.host === 'string' && Number.isInteger(holder.pid) ? holder : undefined;
  } catch {
    return undefined;
  }
}

interface Koffi {
  load(name: string): { func(prototype: string): (...values: unknown[]) => unknown };
}

type Flock = (fd: number, operation: number) => number;
let loaded: { readonly flock: Flock | undefined } | undefined;

/** The C library's `flock`, declared once: koffi keeps each declaration for good. Undefined where koffi or the library is missing. */
function theFlock(): Flock | undefined {
  loaded ??= { flock: loadFlock() };
  return loaded.flock;
}

function loadFlock(): Flock | undefined {
  if (process.env['HOLDFAST_NO_NATIVE'] === '1') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    for (const name of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
      try {
        return koffi.load(name).func('int flock(int fd, int operation)') as Flock;
      } catch {
        // another C library
      }
    }
  } catch {
    // no binary for this platform
  }
  return undefined;
}

/** Holds the kernel's lock on a file of the directory. @throws {BusyError} when another process has it. */
function takeFlock(directory: string): number | undefined {
  const flock = theFlock();
  if (flock === undefined) return undefined;
  const fd = fs.openSync(path.join(directory, FLOCK_FILE), 'a', 0o600);
  if (flock(fd, LOCK_EXCLUSIVE_NOW) === 0) return fd;
  fs.closeSync(fd);
  const holders = fs.readdirSync(directory).filter((name) => name.endsWith('.json')).map((name) => parseHolder(path.join(directory, name)));
  const [holder] = holders;
  throw new BusyError(`Take lock '${directory}': held by ${holder === undefined ? 'another process' : nameOf(holder)}`);
}

function nameOf(holder: Holder): string {
  return `process ${holder.pid} on '${holder.host}' (${holder.description})`;
}

/** Removes files of holders that are gone. @throws {BusyError} naming one that is not. */
function clearOthers(directory: string, own: string, self: Holder): void {
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name);
    if (file === own || !name.endsWith('.json')) continue;
    const holder = parseHolder(file);
    if (holder === undefined && !fs.existsSync(file)) continue;
    if (holder !== undefined && !isAlive(holder, self)) {
      fs.rmSync(file, { force: true });
      continue;
    }
    const who = holder === undefined ? 'an unreadable lock file' : nameOf(holder);
    throw new BusyError(`Take lock '${directory}': held by ${who}; if that process is surely gone, remove '${file}'`, { file });
  }
}

/**
 * Takes the lock that lives in `directory`.
 * @throws {BusyError} naming the holder. @throws {ToolError} when the directory can't be written.
 */
export async function takeLock(directory: string, description: string): Promise<DiskLock> {
  const own = path.join(directory, `${randomBytes(8).toString('hex')}.json`);
  let fd: number | undefined;
  const release = async (): Promise<void> => {
    fs.rmSync(own, { force: true });
    if (fd !== undefined) fs.closeSync(fd);
    fd = undefined;
  };
  try {
    makeDirectories(directory);
    fd = takeFlock(directory);
    const self = describeSelf(description, fd !== undefined);
    // Complete before it is visible: a reader never sees half a holder.
    fs.writeFileSync(`${own}.part`, JSON.stringify(self), { flag: 'wx', mode: 0o600 });
    fs.renameSync(`${own}.part`, own);
    clearOthers(directory, own, self);
  } catch (error) {
    fs.rmSync(`${own}.part`, { force: true });
    await release();
    if (error instanceof BusyError) throw error;
    const { code = 'UNKNOWN' } = error as { code?: string };
    throw new ToolError(`Take lock '${directory}': ${code}`, { errno: code }, error);
  }
  return { isHeld: async () => fs.existsSync(own), release };
}
