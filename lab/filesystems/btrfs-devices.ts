/** btrfs over several files: loop devices, mkfs, mounts of all devices at once, and copies of what a power cut would leave. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmdirSync, rmSync, constants } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from '../images/tools.ts';
import { makeFile } from './loop-image.ts';

/** Runs `work` with a loop device for each file; they are gone afterwards. Needs root. */
async function withLoops<T>(files: readonly string[], work: (devices: readonly string[]) => Promise<T>): Promise<T> {
  const devices: string[] = [];
  try {
    for (const file of files) devices.push(runTool('.', 'losetup', ['--find', '--show', file]).trim());
    return await work(devices);
  } finally {
    // The kernel remembers devices by their uuid: a copy must not be taken for what was here.
    for (const device of devices) {
      spawnSync('btrfs', ['device', 'scan', '--forget', device]);
      runTool('.', 'losetup', ['--detach', device]);
    }
  }
}

/** Makes empty files and a filesystem over all of them. */
export async function makeBtrfs(files: readonly string[], bytes: number, parameters: readonly string[]): Promise<void> {
  for (const file of files) makeFile(file, bytes);
  await withLoops(files, async (devices) => { runTool('.', 'mkfs.btrfs', ['-q', '-f', ...parameters, ...devices]); });
}

async function unmount(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    if (spawnSync('umount', [directory]).status === 0) return;
    await sleep(100);
  }
  runTool('.', 'umount', ['-l', directory]);
  throw new Error(`umount ${directory}: still busy, was detached`);
}

/** Mounts the filesystem over `files` at `directory` (made and removed), runs `work`, unmounts whatever happens. Needs root. */
export async function withBtrfs<T>(files: readonly string[], directory: string, options: string, work: () => Promise<T> | T): Promise<T> {
  return withLoops(files, async (devices) => {
    mkdirSync(directory, { recursive: true });
    try {
      const named = devices.map((device) => `device=${device}`);
      runTool('.', 'mount', ['-t', 'btrfs', '-o', [options, ...named].join(','), devices[0] as string, directory]);
      try {
        return await work();
      } finally {
        await unmount(directory);
      }
    } finally {
      rmdirSync(directory);
    }
  });
}

/** Copies files as they are on the disk at this moment, holes kept. */
export function copyDevices(files: readonly string[], suffix: string): readonly string[] {
  return files.map((file) => {
    const copy = `${file}${suffix}`;
    rmSync(copy, { force: true });
    if (spawnSync('cp', ['--sparse=always', file, copy]).status !== 0) copyFileSync(file, copy, constants.COPYFILE_EXCL);
    return copy;
  });
}
