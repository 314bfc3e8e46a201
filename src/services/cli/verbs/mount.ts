/** `mount`: a location as a read-only filesystem of this host, until it is unmounted or this process gets SIGINT or SIGTERM. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { BusyError, UsageError } from '../../../core/index.ts';
import { TreeFilesystem, mountFuse, type FuseMount } from '../../../exports/index.ts';
import { errorMessage } from '../../entry-error.ts';
import { openLocation } from '../../locations/index.ts';
import { notDirectory } from '../../next-step.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly allowOther?: boolean;
}

/** Unmounts when the signal fires; what is still in use is detached, with a remark. */
async function unmountAtSignal(mount: FuseMount, context: Context): Promise<void> {
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener('abort', () => { resolve(); }, { once: true });
  });
  try {
    await mount.unmount();
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    context.warn(`'${mount.directory}' is in use: detached; programs that still use it get errors, or keep it alive where root does not mount`);
    await mount.unmount(true);
  }
}

/** What a directory holds is hidden by a mount over it: nobody may take that for lost. */
function noteHidden(context: Context, directory: string): void {
  let entries = 0;
  try {
    entries = readdirSync(directory).length;
  } catch {
    return; // a dead mount, or nothing: what is wrong with it, mounting tells
  }
  if (entries > 0) context.warn(`'${directory}' is not empty: its ${entries} entries are hidden until the mount ends`);
}

/** A second signal: the threads that wait for the kernel can't be stopped, and `process.exit` would wait for them until the last program has left the mount. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Runs the verb. Resolves when the mount has ended. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = '', target = ''] = operands;
  const directory = path.resolve(target);
  // Signals are for the mount: a location that is cut off by them would fail the reads that are still under way.
  const location = await openLocation(text, { ...context.opening, signal: new AbortController().signal }, 'inside');
  try {
    const { tree, id } = await location.browse();
    const { type } = await tree.stat(id);
    if (type !== 'directory') throw new UsageError(`Mount '${text}': ${await notDirectory(location, type)}`);
    const allowOther = options.allowOther === true;
    const handler = new TreeFilesystem(tree, { root: id, checkAcls: allowOther });
    noteHidden(context, directory);
    const mount = await mountFuse(handler, {
      directory, readOnly: true, allowOther, name: text, afterDeath: 'detach', onProblem: (error) => { context.warn(`read of '${directory}': ${errorMessage(error)}`); },
    });
    context.print(`${text} is mounted at ${directory}; unmount it, or stop this with Ctrl-C`);
    process.once('exit', endAtOnce);
    await Promise.race([mount.ended, unmountAtSignal(mount, context)]);
    await mount.ended;
    process.off('exit', endAtOnce);
    for (const { where, message } of location.damage()) context.warn(`${where}: ${message}`);
    const { requests, problems } = mount.session.counts;
    return { exitCode: problems > 0 ? 3 : 0, result: { location: text, directory, requests, problems } };
  } finally {
    await location.close();
  }
}
