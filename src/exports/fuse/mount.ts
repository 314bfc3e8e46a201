/**
 * Mounting and unmounting. Root mounts with mount(8); other users through `fusermount3`, which is set-uid and hands the open device over
 * a socket ({@link receiveDevice}). Every program is awaited, never waited for synchronously: it may look at the mount that we serve.
 */
import { spawn } from 'node:child_process';
import { close, open, type Stats } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BusyError, NotFoundError, ToolError, UnsupportedError, UsageError } from '../../core/index.ts';
import { mountThroughHelper, type HelperMount } from './fusermount.ts';
import type { FuseHandler } from './handler.ts';
import { serveFuse, type FuseSession, type SessionOptions } from './session.ts';

/** How something is mounted. */
export interface MountOptions extends SessionOptions {
  /** An existing directory. */
  readonly directory: string;
  readonly readOnly: boolean;
  /** Other users may use the mount, and the kernel checks permissions; without it only the user who mounts. */
  readonly allowOther?: boolean;
  /** Shown as the device in /proc/mounts, such as the location. */
  readonly name: string;
  /**
   * `detach`: when this process dies the mount goes, through `fusermount3`, also for root. `stay` (default): it stays and every use fails
   * with ENOTCONN, so that a program which goes on writing there does not fill the directory below.
   */
  readonly afterDeath?: 'stay' | 'detach';
}

/** A mount that is served. */
export interface FuseMount {
  readonly directory: string;
  readonly session: FuseSession;
  /** Resolves when the mount has ended, by us or by someone else's umount. @throws what its session throws */
  readonly ended: Promise<void>;
  /**
   * Unmounts and resolves when the session has ended. With `force` programs that still use it get errors.
   * @throws {BusyError} when it is in use, without `force`; the mount is still served then.
   */
  unmount(force?: boolean): Promise<void>;
}

/** Result of a program. */
interface Ran {
  readonly code: number | null;
  readonly stderr: string;
}

const device = '/dev/fuse';
/** Bytes that the kernel reads ahead where root may say so. Measured: docs/performance.md. */
const readaheadKiB = 1024;

function run(program: string, parameters: readonly string[], inherited: readonly number[] = []): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe', ...inherited], env: { ...process.env, LC_ALL: 'C' } });
    let stderr = '';
    child.stderr?.on('data', (data: Buffer) => { stderr += data.toString(); });
    child.once('error', (error: NodeJS.ErrnoException) => { reject(new ToolError(`Run '${program}': ${error.message}`, { errno: error.code }, error)); });
    child.once('close', (code) => { resolve({ code, stderr: stderr.trim() }); });
  });
}

/** Options that both ways of mounting know. A comma in the name would begin another option. */
function commonOptions({ readOnly, allowOther, name }: MountOptions): readonly string[] {
  const shown = name.replaceAll(/[\\,]/g, '_');
  return [readOnly ? 'ro' : 'rw', 'nosuid', 'nodev', `fsname=${shown}`, 'subtype=holdfast', ...(allowOther === true ? ['allow_other', 'default_permissions'] : [])];
}

async function mountAsRoot(options: MountOptions): Promise<HelperMount> {
  const fd = await promisify(open)(device, 'r+');
  try {
    const words = commonOptions(options).filter((word) => !/^(fsname|subtype)=/.test(word));
    const parameters = ['fd=3', 'rootmode=40000', `user_id=${process.getuid?.() ?? 0}`, `group_id=${process.getgid?.() ?? 0}`, ...words];
    // `-i`: the kernel's mount, no helper of another FUSE implementation.
    const { code, stderr } = await run('mount', ['-i', '-t', 'fuse.holdfast', '-o', parameters.join(','), '--', options.name, options.directory], [fd]);
    if (code !== 0) throw new ToolError(`Mount '${options.directory}': mount(8) ended with '${code ?? 'a signal'}': ${stderr}`, { directory: options.directory });
    return { device: fd, release: async () => {} };
  } catch (error) {
    await promisify(close)(fd);
    throw error;
  }
}

async function openMount(options: MountOptions): Promise<HelperMount> {
  if (process.getuid?.() === 0 && options.afterDeath !== 'detach') return mountAsRoot(options);
  const words = [...commonOptions(options), ...(options.afterDeath === 'detach' ? ['auto_unmount'] : [])];
  return mountThroughHelper(options.directory, words);
}

/** More than the kernel's default of 128 KiB; only root may, and not everywhere: without it reads are slower, not wrong. */
async function raiseReadahead(directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { dev } = await stat(directory);
  await writeFile(`/sys/class/bdi/${dev >> 8}:${dev & 0xff}/read_ahead_kb`, `${readaheadKiB}\n`).catch(() => undefined);
}

/** Ends what a dead server left at a mount point. */
async function clearDead(directory: string): Promise<void> {
  const { code, stderr } = process.getuid?.() === 0 ? await run('umount', ['-l', '--', directory]) : await run('fusermount3', ['-u', '-z', '--', directory]);
  if (code !== 0) throw new ToolError(`Unmount '${directory}', whose server is dead: ${stderr}`, { directory });
}

async function checkDirectory(directory: string): Promise<void> {
  let found: Stats;
  try {
    found = await stat(directory);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOTCONN') return clearDead(directory);
    if (code === 'ENOENT') throw new NotFoundError(`Mount '${directory}': there is no such directory`, { directory }, error);
    throw new ToolError(`Mount '${directory}': ${message}`, { directory, errno: code }, error);
  }
  if (!found.isDirectory()) throw new UsageError(`Mount '${directory}': it is no directory`, { directory });
}

class Mount implements FuseMount {
  readonly directory: string;
  readonly session: FuseSession;
  readonly ended: Promise<void>;

  constructor(directory: string, session: FuseSession, ended: Promise<void>) {
    this.directory = directory;
    this.session = session;
    this.ended = ended;
  }

  async unmount(force = false): Promise<void> {
    const isRoot = process.getuid?.() === 0;
    const [program, ...words] = isRoot ? ['umount', ...(force ? ['-f', '-l'] : []), '--', this.directory] : ['fusermount3', '-u', ...(force ? ['-z'] : []), '--', this.directory];
    const { code, stderr } = await run(program as string, words);
    const isGone = /not mounted|not found in|no mount point/.test(stderr);
    if (code !== 0 && !isGone) {
      if (/busy/i.test(stderr)) throw new BusyError(`Unmount '${this.directory}': programs still use it`, { directory: this.directory });
      throw new ToolError(`Unmount '${this.directory}': ${stderr}`, { directory: this.directory });
    }
    await this.ended;
  }
}

/**
 * Mounts a handler and serves it; resolves when the kernel has begun to talk. Owns the handler from now on.
 * @throws {NotFoundError} @throws {UsageError} no directory. @throws {UnsupportedError} without FUSE. @throws {ToolError}
 */
export async function mountFuse(handler: FuseHandler, options: MountOptions): Promise<FuseMount> {
  if (process.platform !== 'linux') throw new UnsupportedError(`Mount '${options.directory}': only Linux has this FUSE`, { platform: process.platform });
  let opened: HelperMount;
  try {
    await checkDirectory(options.directory);
    opened = await openMount(options);
  } catch (error) {
    await handler.close();
    throw explained(error, options.directory);
  }
  const session = serveFuse(opened.device, handler, options);
  const ended = session.ended.finally(opened.release);
  ended.catch(() => undefined); // whoever waits for the end gets it
  const mount = new Mount(options.directory, session, ended);
  try {
    await session.ready;
  } catch (error) {
    await mount.unmount(true);
    throw error;
  }
  await raiseReadahead(options.directory);
  return mount;
}

function explained(error: unknown, directory: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENODEV') return new UnsupportedError(`Mount '${directory}': there is no ${device}; the kernel's fuse module is not loaded`, { device }, error);
  if (code === 'EACCES' || code === 'EPERM') return new ToolError(`Mount '${directory}': ${device} cannot be opened`, { device, errno: code }, error);
  return error;
}
