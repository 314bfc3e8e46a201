/** Runs in a guest whose kernel mounts XFS version 4: grows a tree in each image, cuts the power of some, and writes down what the kernel shows after recovery. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { surveyTree } from './entry-facts.ts';
import { packFacts } from './guest-fill.ts';
import type { GrowRequest } from './xfs-grow.ts';

/** One image. */
export interface XfsGuestJob {
  /** Name of the file in the guest's folder; afterwards as the kernel left it, `.bare` beside it as it was before recovery. */
  readonly image: string;
  readonly request: Omit<GrowRequest, 'directory'>;
  readonly cut: boolean;
}

/** Names of files in the guest's folder. */
export const xfsGuestFiles = { jobs: 'jobs.json', bare: (image: string): string => `${image}.bare`, facts: (image: string): string => `${image}.facts.json`, done: 'XFS-GUEST-DONE' } as const;

const MOUNT = '/mnt/fs';

function run(program: string, parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

function withDevice<T>(file: string, work: (device: string) => T): T {
  const device = run('losetup', ['-f', '--show', file]);
  try {
    return work(device);
  } finally {
    run('losetup', ['-d', device]);
  }
}

async function fill(folder: string, { image, request, cut }: XfsGuestJob): Promise<void> {
  const file = path.join(folder, image);
  withDevice(file, (device) => {
    run('mount', ['-t', 'xfs', device, MOUNT]);
    try {
      run(process.execPath, [fileURLToPath(new URL('./xfs-grow.js', import.meta.url)), JSON.stringify({ ...request, directory: MOUNT } satisfies GrowRequest)]);
      if (cut) run('xfs_io', ['-x', '-c', 'shutdown -f', MOUNT]);
    } finally {
      run('umount', [MOUNT]);
    }
  });
  run('cp', ['--sparse=always', file, path.join(folder, xfsGuestFiles.bare(image))]);
  const device = run('losetup', ['-f', '--show', file]);
  try {
    run('mount', ['-t', 'xfs', '-o', 'noatime', device, MOUNT]);
    const tree = new PosixTree({ root: Buffer.from(MOUNT) });
    try {
      writeFileSync(path.join(folder, xfsGuestFiles.facts(image)), packFacts(await surveyTree(tree, {}, false)));
    } finally {
      await tree.close();
      run('umount', [MOUNT]);
    }
  } finally {
    run('losetup', ['-d', device]);
  }
}

const folder = process.argv[2];
if (process.argv[1] === import.meta.filename && folder !== undefined) {
  for (const job of JSON.parse(readFileSync(path.join(folder, xfsGuestFiles.jobs), 'utf8')) as XfsGuestJob[]) {
    try {
      await fill(folder, job);
      console.log(`filled ${job.image}`);
    } catch (error) {
      console.log(`failed ${job.image}: ${String(error)}`);
    }
  }
  console.log(xfsGuestFiles.done);
}
