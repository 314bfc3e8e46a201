/** Filesystem images that real tools make and the kernel (or a FUSE driver) mounts. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from '../images/tools.ts';

/** How an image is mounted. */
export interface Mounting {
  /** `ro` by default. */
  readonly write?: boolean;
  /** For `mount -t`. */
  readonly type?: string;
  /** More for `mount -o`, after `loop` and `ro` or `rw`. */
  readonly options?: string;
  /** Another program that mounts, with its parameters: `{image}`, `{directory}` and `{access}` (`ro`, `rw`) are replaced. */
  readonly program?: readonly string[];
}

/** Makes an empty file of `bytes`; an existing one is emptied. */
export function makeFile(file: string, bytes: number): void {
  const fd = openSync(file, 'w');
  try {
    ftruncateSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

/** Makes an empty file of `bytes` and runs `mkfs` (program and parameters, `{image}` replaced, or the file appended) on it. */
export function makeImage(file: string, bytes: number, mkfs: readonly string[]): void {
  makeFile(file, bytes);
  const filled = mkfs.map((part) => part.replace('{image}', file));
  const [program = '', ...parameters] = mkfs.some((part) => part.includes('{image}')) ? filled : [...filled, file];
  runTool('.', program, parameters);
}

function mountCommand(file: string, directory: string, mounting: Mounting): readonly string[] {
  const access = mounting.write === true ? 'rw' : 'ro';
  if (mounting.program !== undefined) {
    return mounting.program.map((part) => part.replace('{image}', file).replace('{directory}', directory).replace('{access}', access));
  }
  const options = ['loop', access, ...(mounting.options === undefined ? [] : [mounting.options])].join(',');
  return ['mount', ...(mounting.type === undefined ? [] : ['-t', mounting.type]), '-o', options, file, directory];
}

/** Unmounts; what still uses it gets two seconds to end. Last resort: detached, so that nothing stays behind. */
async function unmount(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    if (spawnSync('umount', [directory]).status === 0) return;
    await sleep(100);
  }
  runTool('.', 'umount', ['-l', directory]);
  throw new Error(`umount ${directory}: still busy, was detached`);
}

/** Mounts the image at `directory` (made and removed), runs `work`, unmounts whatever happens. Needs root. */
export async function withMount<T>(file: string, directory: string, mounting: Mounting, work: (directory: string) => Promise<T> | T): Promise<T> {
  mkdirSync(directory, { recursive: true });
  try {
    const [program = '', ...parameters] = mountCommand(file, directory, mounting);
    runTool('.', program, parameters);
    try {
      return await work(directory);
    } finally {
      await unmount(directory);
    }
  } finally {
    rmdirSync(directory);
  }
}

/**
 * Stops the filesystem under `directory` as a power cut would: nothing reaches the disk any more, the image keeps a dirty journal. With
 * `flushLog` the journal is written first. Only ext4, xfs and btrfs know it. Needs `xfs_io`.
 */
export function cutPower(directory: string, flushLog: boolean): void {
  runTool('.', 'xfs_io', ['-x', '-c', flushLog ? 'shutdown -f' : 'shutdown', directory]);
}
