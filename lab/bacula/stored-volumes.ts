/** Volumes in a repository, as a user gets them back with the command line. */
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from './tool.ts';
import type { Stand } from './stand.ts';

const SETTLED_KIB = 1000;
const STEP_MS = 500;

interface Listed {
  readonly snapshots: readonly { readonly id: string; readonly sources: readonly string[] }[];
}

/** The newest snapshot of each volume of a repository, by the volume's name. */
export async function storedVolumes(stand: Stand, repository: string): Promise<ReadonlyMap<string, string>> {
  const { snapshots } = await stand.holdfast('snapshots', repository) as unknown as Listed;
  return new Map(snapshots.flatMap(({ id, sources }) => sources.map((source) => [source.slice(source.indexOf(':') + 1), id] as const)));
}

/** Restores volumes as files into `directory`. @throws {ToolError} one is not there. @returns their paths, in the order asked */
export async function fetchVolumes(stand: Stand, repository: string, fetch: { readonly names: readonly string[]; readonly directory: string }): Promise<readonly string[]> {
  const ids = await storedVolumes(stand, repository);
  mkdirSync(fetch.directory, { recursive: true });
  for (const name of fetch.names) await stand.holdfast('restore', `${repository}::${ids.get(name) ?? `no-volume-${name}`}`, fetch.directory);
  return fetch.names.map((name) => path.join(fetch.directory, name));
}

/** How stored volumes differ from the files of an archive directory, which nobody writes to meanwhile; `scratch` is emptied. */
export async function volumeFaults(stand: Stand, repository: string, { archive, scratch }: { readonly archive: string; readonly scratch: string }): Promise<readonly string[]> {
  const names = readdirSync(archive);
  await fetchVolumes(stand, repository, { names, directory: scratch });
  const faults: string[] = [];
  for (const name of names) {
    const { status, stdout, stderr } = await runTool(['cmp', path.join(archive, name), path.join(scratch, name)], { anyStatus: true });
    if (status !== 0) faults.push(`volume '${name}': ${stdout.toString()}${stderr.toString()}`);
  }
  await runTool(['rm', '-rf', scratch]);
  return faults;
}

/** Waits until nothing but its bookkeeping is in a spool: then reads come out of the repository, and no commit takes the processor. @returns milliseconds; undefined when it takes longer */
export async function committed(spool: string, timeoutMs: number): Promise<number | undefined> {
  const started = performance.now();
  for (;;) {
    // Its files come and go: du's complaint about one does not matter.
    const { stdout } = await runTool(['du', '-sk', spool], { anyStatus: true });
    const passed = performance.now() - started;
    if (Number.parseInt(stdout.toString(), 10) < SETTLED_KIB) return passed;
    if (passed > timeoutMs) return undefined;
    await sleep(STEP_MS);
  }
}
