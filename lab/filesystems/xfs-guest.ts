/**
 * Runs in a guest whose kernel mounts XFS version 4: grows a tree in each image, cuts the power of some, tears the ends of their logs, and writes down
 * what the kernel shows after recovery. The images lie in the guest's memory while they are worked on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/core/testing/random.ts';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { surveyTree } from './entry-facts.ts';
import { packFacts } from './guest-fill.ts';
import type { GrowRequest } from './xfs-grow.ts';
import { tearLog } from './xfs-torn.ts';

/** How the power goes: after so many milliseconds of growing (the log written first, or not), or when all has grown. */
export interface XfsPowerCut {
  readonly amidMs: number | undefined;
  readonly flushLog: boolean;
  /** Other damaged ends of the log of the same image. */
  readonly torn: number;
}

/** One image. */
export interface XfsGuestJob {
  /** Name of the file in the folder that is shared with the guest; afterwards as it was before recovery. */
  readonly image: string;
  readonly request: Omit<GrowRequest, 'directory'>;
  /** Undefined: unmounted in order. */
  readonly cut: XfsPowerCut | undefined;
}

/** Names of files in that folder. A copy with a torn log stands beside its image as another image. */
export const xfsGuestFiles = {
  jobs: 'jobs.json', done: 'XFS-GUEST-DONE', torn: (image: string, i: number): string => `${i}-torn-${image}`,
  /** What the kernel shows; without a tree, why it does not mount it. */
  facts: (image: string): string => `${image}.facts.json`, refusal: (image: string): string => `${image}.refused`, how: (image: string): string => `${image}.how`,
} as const;

const MOUNT = '/mnt/fs';
/** In the guest's memory. */
const SCRATCH = '/mnt/xfs.img';

function run(program: string, parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

async function withMount(options: string, work: () => Promise<void>): Promise<void> {
  const device = run('losetup', ['-f', '--show', SCRATCH]);
  try {
    run('mount', ['-t', 'xfs', '-o', options, device, MOUNT]);
    await work().finally(() => run('umount', [MOUNT]));
  } finally {
    run('losetup', ['-d', device]);
  }
}

async function grow({ request, cut }: XfsGuestJob): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./xfs-grow.js', import.meta.url)), JSON.stringify({ ...request, directory: MOUNT } satisfies GrowRequest)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const isDone = await Promise.race([ended.then(() => true), ...(cut?.amidMs === undefined ? [] : [sleep(cut.amidMs, false)])]);
  if (cut !== undefined) run('xfs_io', ['-x', '-c', cut.flushLog ? 'shutdown -f' : 'shutdown', MOUNT]);
  if (!isDone) child.kill();
  const [code] = await ended;
  if (isDone && code !== 0) throw new Error(`grow a tree: ended with '${code}'`);
}

/** Lets the kernel recover a copy of the image, and writes down what it shows then, or why it refuses. */
async function recover(folder: string, image: string): Promise<void> {
  copyFileSync(path.join(folder, image), SCRATCH);
  let isMounted = false;
  try {
    await withMount('noatime', async () => {
      isMounted = true;
      const tree = new PosixTree({ root: Buffer.from(MOUNT) });
      try {
        writeFileSync(path.join(folder, xfsGuestFiles.facts(image)), packFacts(await surveyTree(tree, {}, false)));
      } finally {
        await tree.close();
      }
    });
  } catch (error) {
    if (isMounted) throw error;
    writeFileSync(path.join(folder, xfsGuestFiles.refusal(image)), String(error));
  }
}

async function fill(folder: string, job: XfsGuestJob): Promise<void> {
  const { image, cut, request } = job;
  run('cp', ['--sparse=always', path.join(folder, image), SCRATCH]);
  await withMount('noatime', () => grow(job));
  run('cp', ['--sparse=always', SCRATCH, path.join(folder, image)]);
  await recover(folder, image);
  const random = seededRandom(request.seed);
  for (let i = 0; i < (cut?.torn ?? 0); i += 1) {
    const torn = xfsGuestFiles.torn(image, i);
    run('cp', ['--sparse=always', path.join(folder, image), path.join(folder, torn)]);
    const how = await tearLog(path.join(folder, torn), random);
    if (how === undefined) continue;
    writeFileSync(path.join(folder, xfsGuestFiles.how(torn)), how);
    await recover(folder, torn);
  }
}

const folder = process.argv[2];
if (process.argv[1] === import.meta.filename && folder !== undefined) {
  for (const job of JSON.parse(readFileSync(path.join(folder, xfsGuestFiles.jobs), 'utf8')) as XfsGuestJob[]) {
    const from = performance.now();
    try {
      await fill(folder, job);
      console.log(`filled ${job.image} in ${Math.round((performance.now() - from) / 1000)} s`);
    } catch (error) {
      console.log(`failed ${job.image}: ${String(error)}`);
    }
    rmSync(SCRATCH, { force: true });
  }
  console.log(xfsGuestFiles.done);
}
