#!/usr/bin/env node
/** `holdfast-bacula-fuse-volumes`: mode A with the storage daemon's archive device on a mount that is served from a repository. See README.md. */
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, UsageError } from '../../src/core/index.ts';
import { StoreFilesystem, mountFuse, type FuseMount, type RequestHeader } from '../../src/exports/index.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';
import { COMMON_USAGE, commonOptions, endWith, note, readArguments, withShelf } from '../shelf-command.ts';

const USAGE = `Usage: holdfast-bacula-fuse-volumes --repo REPO DIRECTORY [--owner UID:GID] [--mode OCTAL] [--allow-other]
Mounts volumes of the repository at DIRECTORY, for UID:GID and with mode OCTAL, until SIGTERM; --allow-other: for other users too
${COMMON_USAGE}`;
const retryMs = 500;
/** A job that fits is committed when Bacula has closed its volume: a commit beside it would take the processor from the daemons. */
const commitBytes = 2 * 2 ** 30;

/** `UID:GID` in numbers. @throws {UsageError} */
function ownerOption(text: string | undefined): { readonly uid: number; readonly gid: number } {
  if (text === undefined) return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  if (uid === undefined || gid === undefined) throw new UsageError(`Read option '--owner': found '${text}', expected UID:GID in numbers`);
  return { uid: Number(uid), gid: Number(gid) };
}

/** Permission bits of volumes. @throws {UsageError} */
function modeOption(text = '640'): number {
  if (!/^[0-7]{3}$/.test(text)) throw new UsageError(`Read option '--mode': found '${text}', expected three octal digits`);
  return Number.parseInt(text, 8);
}

/** Milliseconds after which it is said why the end takes long. */
const patienceMs = 5_000;

/**
 * The first SIGINT or SIGTERM unmounts as soon as no volume is open; the second one at once, and jobs that still write fail. Where the mount is gone here
 * and lives on in a copy of this host's mounts (another mount namespace, a container), the second signal ends it all the same.
 * @returns false when the kernel still has the session.
 */
async function unmountAtSignal(mount: FuseMount): Promise<boolean> {
  let signals = 0;
  let wake = (): void => undefined;
  const next = (): Promise<void> => new Promise((resolve) => { wake = resolve; });
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      signals += 1;
      wake();
    });
  }
  await next();
  let isTold = false;
  for (;;) {
    const second = signals > 1 ? Promise.resolve() : next();
    const isForced = signals > 1;
    const unmounted = mount.unmount(isForced).then(() => true);
    const slow = setTimeout(() => { note(`'${mount.directory}' is unmounted here, and still mounted elsewhere (another mount namespace, a container): waiting; a second signal ends this all the same`); }, patienceMs);
    try {
      // A forced one detaches: what is left after a while is not here.
      return await Promise.race([unmounted, second.then(() => sleep(isForced ? patienceMs : 0)).then(() => (isForced ? false : Promise.race([unmounted, sleep(patienceMs).then(() => false)])))]);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      if (!isTold) note(`'${mount.directory}' is in use: waiting; a second signal unmounts all the same, and jobs that use it fail`);
      isTold = true;
      await sleep(retryMs);
    } finally {
      clearTimeout(slow);
      unmounted.catch(() => undefined);
    }
  }
}

function report(error: unknown, { opcode }: RequestHeader): void {
  note(`operation ${opcode} failed: ${(error as Error).message}`);
}

keepProcessSmall();
await endWith('holdfast-bacula-fuse-volumes', USAGE, async () => {
  const { values, positionals } = readArguments({
    args: process.argv.slice(2), allowPositionals: true, strict: true,
    options: { ...commonOptions, owner: { type: 'string' }, mode: { type: 'string' }, 'allow-other': { type: 'boolean' } },
  });
  const [given, ...others] = positionals;
  if (given === undefined || others.length > 0) throw new UsageError(`Name one directory\n${USAGE}`);
  const directory = path.resolve(given);
  const owned = { ...ownerOption(values.owner), mode: modeOption(values.mode) };
  return withShelf(values, async ({ shelf }) => {
    const handler = new StoreFilesystem(shelf, owned);
    // `afterDeath` stays 'stay': a storage daemon must not go on writing into the directory below a mount that is gone.
    const mount = await mountFuse(handler, { directory, readOnly: false, allowOther: values['allow-other'] === true, name: 'holdfast-volumes', onProblem: report });
    process.stdout.write(`${JSON.stringify({ mounted: directory })}\n`);
    const isOver = await Promise.race([mount.ended.then(() => true), unmountAtSignal(mount)]);
    if (isOver) await mount.ended;
    // Its threads wait for the kernel, and an orderly exit would wait for them.
    else process.once('exit', () => { process.kill(process.pid, 'SIGKILL'); });
    process.stdout.write(`${JSON.stringify({ unmounted: directory, ...mount.session.counts })}\n`);
    return 0;
  }, { commitBytes });
});
