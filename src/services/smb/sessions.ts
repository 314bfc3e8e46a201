/**
 * The shares that processes of this host serve, in one directory that smb.conf includes:
 *
 * - `NAME.session` who serves the share, and where it is mounted; there from before the mount until after its end
 * - `NAME.conf` the share; there while it can be used
 * - `holdfast.conf` includes every `NAME.conf`; smb.conf includes this file
 *
 * Every file is written beside its place and renamed; changes are made one at a time, under a lock. A session whose process is gone is removed by the next
 * one. The directory must belong to root alone: what is in it configures a program that runs as root.
 */
import { lstat, readFile, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, ToolError, UsageError, type DiskLock } from '../../core/index.ts';
import { makeDirectories, nodeWorld } from '../../engine/index.ts';
import { isRunning, thisProcess, type ProcessIdentity } from './process-identity.ts';
import { runProgram, type Samba } from './samba.ts';
import { checkPath, checkShareName, shareSection, type ShareAccess } from './share.ts';

/** One share and its mount point. */
export interface Session {
  readonly share: string;
  readonly mount: string;
}

/** Where sessions are. */
export interface SessionPlaces {
  /** Directory of the files above. */
  readonly configuration: string;
  /** Directory of the mount points, which only root may enter. */
  readonly mounts: string;
}

const INDEX = 'holdfast.conf';
const LOCK_WAIT_MS = 60_000;
const LOCK_PAUSE_MS = 100;

/** A directory that nobody but root can have changed; it is made where it is missing. @throws {UsageError} @throws {ToolError} */
async function ownDirectory(directory: string, mode: 0o700 | 0o755): Promise<string> {
  checkPath(directory);
  try {
    makeDirectories(directory, mode);
  } catch (error) {
    throw new ToolError(`Make directory '${directory}': ${(error as Error).message}`, { directory }, error);
  }
  const found = await lstat(directory);
  const forbidden = mode === 0o700 ? 0o077 : 0o022;
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & forbidden) !== 0) {
    throw new UsageError(`Use directory '${directory}': expected one of root that others can${mode === 0o700 ? 'not enter' : 'not write'}, found mode '${(found.mode & 0o7777).toString(8)}' of user '${found.uid}'`, { directory });
  }
  return directory;
}

/** A session in the text of its file; undefined when it is none. */
function parseSession(text: string): (Session & ProcessIdentity) | undefined {
  try {
    const { share, mount, pid, started, boot } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (typeof share !== 'string' || typeof mount !== 'string' || typeof pid !== 'number' || typeof started !== 'string' || typeof boot !== 'string') return undefined;
    return checkShareName(share) === share && path.basename(checkPath(mount)) === share ? { share, mount, pid, started, boot } : undefined;
  } catch {
    return undefined;
  }
}

/** See the module's comment. */
export class SmbSessions {
  readonly #places: SessionPlaces;
  readonly #samba: Samba;
  readonly #warn: (line: string) => void;

  private constructor(places: SessionPlaces, samba: Samba, warn: (line: string) => void) {
    this.#places = places;
    this.#samba = samba;
    this.#warn = warn;
  }

  /** @throws {UsageError} a directory that others can change. */
  static async open({ configuration, mounts }: SessionPlaces, samba: Samba, warn: (line: string) => void): Promise<SmbSessions> {
    return new SmbSessions({ configuration: await ownDirectory(configuration, 0o755), mounts: await ownDirectory(mounts, 0o700) }, samba, warn);
  }

  /** The file that smb.conf has to include. */
  get index(): string {
    return this.#file(INDEX);
  }

  /** Removes what dead processes left, and takes a name. @throws {BusyError} it is in use. */
  claim(share: string): Promise<Session> {
    return this.#alone(async () => {
      await this.#removeStale();
      const names = await readdir(this.#places.configuration);
      if (names.includes(`${share}.session`) || names.includes(`${share}.conf`) || await this.#samba.pathOf(share) !== undefined) {
        throw new BusyError(`Serve share '${share}': Samba has one of that name; name another by --share`, { share });
      }
      const session = { share, mount: path.join(this.#places.mounts, share) };
      await this.#write(`${share}.session`, `${JSON.stringify({ ...session, ...thisProcess() })}\n`);
      makeDirectories(session.mount);
      return session;
    });
  }

  /** Shows the share to clients. @throws {UsageError} smb.conf does not include the index. */
  publish({ share, mount }: Session, access: ShareAccess): Promise<void> {
    return this.#alone(async () => {
      await this.#write(`${share}.conf`, shareSection(share, mount, access));
      await this.#writeIndex();
      const found = await this.#samba.pathOf(share);
      if (found !== mount) {
        throw new UsageError(`Serve share '${share}': smb.conf does not include '${this.index}' (testparm shows ${found === undefined ? 'no such share' : `'${found}'`}); add at its end the lines '[global]' and 'include = ${this.index}'`, { share });
      }
      await this.#samba.reload();
    });
  }

  /** Takes the share from clients; those that use it are disconnected. */
  withdraw({ share }: Session): Promise<void> {
    return this.#alone(() => this.#withdraw(share));
  }

  /** Gives the name back. The mount must have ended. */
  release(session: Session): Promise<void> {
    return this.#alone(() => this.#release(session));
  }

  #file(name: string): string {
    return path.join(this.#places.configuration, name);
  }

  async #withdraw(share: string): Promise<void> {
    await rm(this.#file(`${share}.conf`), { force: true });
    await this.#writeIndex();
    await this.#samba.reload();
    await this.#samba.closeShare(share);
  }

  async #release({ share, mount }: Session): Promise<void> {
    await rmdir(mount).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'ENOENT') this.#warn(`'${mount}' stays: ${error.message}`); });
    await rm(this.#file(`${share}.session`), { force: true });
  }

  async #removeStale(): Promise<void> {
    for (const session of await this.#sessions()) {
      if (isRunning(session)) continue;
      await this.#withdraw(session.share);
      const { code, stderr } = await runProgram('umount', '-l', '--', session.mount);
      if (code !== 0 && !/not mounted|not found|no mount point/.test(stderr)) throw new ToolError(`Unmount '${session.mount}', whose server is dead: ${stderr.trim()}`);
      await this.#release(session);
      this.#warn(`share '${session.share}' was removed: process ${session.pid}, which served it, is gone`);
    }
  }

  async #sessions(): Promise<readonly (Session & ProcessIdentity)[]> {
    const sessions = [];
    for (const name of (await readdir(this.#places.configuration)).filter((one) => one.endsWith('.session')).sort()) {
      const session = parseSession(await readFile(this.#file(name), 'utf8'));
      if (session !== undefined && `${session.share}.session` === name) sessions.push(session);
      else this.#warn(`'${this.#file(name)}' is no session of ours: left alone, its share is not served`);
    }
    return sessions;
  }

  async #writeIndex(): Promise<void> {
    const names = new Set(await readdir(this.#places.configuration));
    const includes = (await this.#sessions()).map(({ share }) => `${share}.conf`).filter((name) => names.has(name));
    await this.#write(INDEX, ['# Written by holdfast serve smb', ...includes.map((name) => `include = ${this.#file(name)}`), ''].join('\n'));
  }

  async #write(name: string, text: string): Promise<void> {
    const part = this.#file(`.${name}.part`);
    await writeFile(part, text, { mode: 0o644 });
    await rename(part, this.#file(name));
  }

  async #alone<T>(change: () => Promise<T>): Promise<T> {
    const lock = await this.#lock();
    try {
      return await change();
    } finally {
      await lock.release();
    }
  }

  /** @throws {BusyError} another process has it for too long. */
  async #lock(): Promise<DiskLock> {
    const world = nodeWorld(this.#places.configuration);
    for (let waited = 0; ; waited += LOCK_PAUSE_MS) {
      try {
        return await world.disk.lock('.lock', 'holdfast serve smb');
      } catch (error) {
        if (!(error instanceof BusyError) || waited >= LOCK_WAIT_MS) throw error;
        await sleep(LOCK_PAUSE_MS);
      }
    }
  }
}
