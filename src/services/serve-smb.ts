/** A location as a share of this host's Samba, until a signal ends it: mounted where only root looks, and named in a file that smb.conf includes. */
import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, UsageError } from '../core/index.ts';
import { TreeFilesystem, mountFuse, type FuseMount } from '../exports/index.ts';
import type { Context, Outcome } from './cli/context.ts';
import { errorMessage } from './entry-error.ts';
import { openLocation } from './locations/index.ts';
import { notDirectory } from './next-step.ts';
import { Samba } from './smb/samba.ts';
import { SmbSessions, type Session } from './smb/sessions.ts';
import { checkShareName, checkUsers, shareNameFor, type ShareAccess } from './smb/share.ts';

/** What the command line says; undefined is the default. */
export interface SmbOptions {
  readonly share: string | undefined;
  readonly guestOk: boolean;
  readonly validUsers: string | undefined;
  /** Directory of the include files. */
  readonly sambaConf: string | undefined;
  /** Configuration of the smbd that serves. */
  readonly smbConf: string | undefined;
  readonly mountDir: string | undefined;
}

/** Clients that were disconnected need a moment to let go of the mount. */
const UNMOUNT_TRIES = 20;
const UNMOUNT_PAUSE_MS = 100;

/** Without options: whoever called this, also through sudo. @throws {UsageError} */
function accessOf({ guestOk, validUsers }: SmbOptions): ShareAccess {
  if (guestOk && validUsers !== undefined) throw new UsageError("Read option '--guest-ok': '--valid-users' contradicts it");
  return guestOk ? 'guests' : checkUsers(validUsers ?? process.env['SUDO_USER'] ?? userInfo().username);
}

async function unmount(mount: FuseMount): Promise<void> {
  for (let i = 0; i < UNMOUNT_TRIES; i += 1) {
    try {
      await mount.unmount();
      return;
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      await sleep(UNMOUNT_PAUSE_MS);
    }
  }
  await mount.unmount(true);
}

function signalled({ signal }: Context): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => { resolve(); }, { once: true });
  });
}

/** A second signal: threads that wait for the kernel can't be stopped otherwise. The next start removes the share. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Publishes a mount until a signal comes or somebody unmounts it. */
async function servePublished(sessions: SmbSessions, session: Session, access: ShareAccess, { mount, context, text }: { readonly mount: FuseMount; readonly context: Context; readonly text: string }): Promise<void> {
  process.once('exit', endAtOnce);
  try {
    try {
      await sessions.publish(session, access);
      context.warn(`${text} is served as //${hostname()}/${session.share} to ${access === 'guests' ? 'everyone' : access.join(', ')}; Ctrl-C ends it`);
      await Promise.race([mount.ended, signalled(context)]);
    } finally {
      await sessions.withdraw(session);
    }
  } finally {
    await unmount(mount);
    process.off('exit', endAtOnce);
  }
  await mount.ended;
}

/**
 * Serves a location. Resolves when it has ended; problems make exit code 3.
 * @throws {UsageError} the location is no directory, smb.conf does not include ours, not root. @throws {BusyError} the share's name is in use. @throws {ToolError} no smbd runs.
 */
export async function serveSmb(context: Context, text: string, options: SmbOptions): Promise<Outcome> {
  const access = accessOf(options);
  const share = options.share === undefined ? shareNameFor(text) : checkShareName(options.share);
  if (process.getuid?.() !== 0) throw new UsageError(`Serve '${text}' through Samba: only root may tell smbd`);
  const samba = new Samba(options.smbConf === undefined ? undefined : path.resolve(options.smbConf));
  await samba.checkRunning();
  const places = { configuration: path.resolve(options.sambaConf ?? '/etc/samba/bacula.d'), mounts: path.resolve(options.mountDir ?? '/run/holdfast-smb') };
  const sessions = await SmbSessions.open(places, samba, (line) => { context.warn(line); });
  // Signals are for the share: a location that is cut off by them would fail the reads that are still under way.
  const location = await openLocation(text, { ...context.opening, signal: new AbortController().signal }, 'inside');
  try {
    const { tree, id } = await location.browse();
    const { type } = await tree.stat(id);
    if (type !== 'directory') throw new UsageError(`Serve '${text}': ${await notDirectory(location, type)}`);
    const session = await sessions.claim(share);
    let mount: FuseMount;
    try {
      mount = await mountFuse(new TreeFilesystem(tree, { root: id }), {
        directory: session.mount, readOnly: true, name: `holdfast:${share}`, afterDeath: 'detach', onProblem: (error) => { context.warn(`read of share '${share}': ${errorMessage(error)}`); },
      });
      await servePublished(sessions, session, access, { mount, context, text });
    } finally {
      await sessions.release(session);
    }
    for (const { where, message } of location.damage()) context.warn(`${where}: ${message}`);
    const { requests, problems } = mount.session.counts;
    return { exitCode: problems > 0 ? 3 : 0, result: { location: text, share, directory: session.mount, requests, problems } };
  } finally {
    await location.close();
  }
}
