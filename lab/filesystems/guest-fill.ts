/** Runs in a guest: mounts each image, grows a tree in it, and after a second mount writes down what the kernel shows. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { surveyTree, type CompareOptions, type TreeFacts } from './entry-facts.ts';
import { growTree, type TreeProfile } from './random-tree.ts';

/** One image to fill. */
export interface FillJob {
  /** Name of the file in the guest's folder. */
  readonly image: string;
  /** For `mount -t` and `-o`. */
  readonly type: string;
  readonly options: string;
  /** Of the device that the image is shown as. */
  readonly sectorBytes: number;
  /** Run on the device before it is filled, where the host could not give it such sectors. */
  readonly mkfs?: readonly string[];
  readonly seed: number;
  readonly profile: TreeProfile;
  readonly compare: Pick<CompareOptions, 'omit' | 'timestampNanoseconds'>;
}

/** Names of files in the guest's folder. */
export const fillFiles = { jobs: 'jobs.json', facts: (image: string): string => `${image}.facts.json`, done: 'GUEST-FILL-DONE' } as const;

const MOUNT = '/mnt/fs';

function run(program: string, parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

/** Facts as a file, and back. */
export function packFacts(facts: TreeFacts): string {
  return JSON.stringify([...facts].map(([key, entry]) => [key, [...entry]]));
}

/** What {@link packFacts} wrote. */
export function unpackFacts(text: string): TreeFacts {
  return new Map((JSON.parse(text) as [string, [string, string][]][]).map(([key, entry]) => [key, new Map(entry)]));
}

async function fill(work: string, job: FillJob): Promise<void> {
  const device = run('losetup', ['-b', String(job.sectorBytes), '-f', '--show', path.join(work, job.image)]);
  const mount = (access: string): void => { run('mount', ['-t', job.type, '-o', [access, ...(job.options === '' ? [] : [job.options])].join(','), device, MOUNT]); };
  try {
    if (job.mkfs !== undefined) run(job.mkfs[0] as string, [...job.mkfs.slice(1), device]);
    mount('rw');
    try {
      growTree(MOUNT, job.seed, job.profile);
    } finally {
      run('umount', [MOUNT]);
    }
    mount('ro');
    const tree = new PosixTree({ root: Buffer.from(MOUNT) });
    try {
      writeFileSync(path.join(work, fillFiles.facts(job.image)), packFacts(await surveyTree(tree, job.compare, false)));
    } finally {
      await tree.close();
      run('umount', [MOUNT]);
    }
  } finally {
    run('losetup', ['-d', device]);
  }
}

const work = process.argv[2];
if (process.argv[1] === import.meta.filename && work !== undefined) {
  for (const job of JSON.parse(readFileSync(path.join(work, fillFiles.jobs), 'utf8')) as FillJob[]) {
    try {
      await fill(work, job);
      console.log(`filled ${job.image}`);
    } catch (error) {
      console.log(`failed ${job.image}: ${String(error)}`);
    }
  }
  console.log(fillFiles.done);
}
