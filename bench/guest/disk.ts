/** The disks of the guest benchmark: sparse, large, with one large file of incompressible data and many small ones. */
import { spawnSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmdirSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import * as path from 'node:path';

/** How large all of it is. */
export interface Sizes {
  readonly diskBytes: number;
  /** A multiple of 1 MiB. */
  readonly largeBytes: number;
  readonly directories: number;
  readonly filesEach: number;
}

/** Filesystems of guests. */
export type Family = 'ext4' | 'xfs' | 'ntfs';

/** Formats of images, as qemu names them. */
export type Container = 'raw' | 'vhdx' | 'qcow2';

/** One disk in one or several containers. */
export interface GuestDisk {
  readonly family: Family;
  readonly files: ReadonlyMap<Container, string>;
  /** Of `/large`. */
  readonly sha256: string;
  /** Runs of data on the disk, the longest first, as many bytes as `/large` has: mostly its, the rest metadata and small files beside it. */
  readonly runs: readonly { readonly offset: number; readonly length: number }[];
}

const MIB = 1 << 20;

/** What makes a filesystem, and what mounts its file. `ntfs-3g` is a program of its own; the others are the kernel's. */
const families: Readonly<Record<Family, { readonly make: readonly string[]; readonly mount: readonly string[] }>> = {
  // Few inodes, and tables that are written when they are used: else this is minutes.
  ext4: { make: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', '-N', '200000'], mount: ['mount', '-o', 'loop,noinit_itable,{access}'] },
  xfs: { make: ['mkfs.xfs', '-q'], mount: ['mount', '-o', 'loop,{access}'] },
  ntfs: { make: ['mkntfs', '-Q', '-F', '-q'], mount: ['ntfs-3g', '-o', '{access},big_writes'] },
};

/** Runs a tool. @throws {Error} with what it said when it fails. */
export function runTool(command: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`Run '${command.join(' ')}': ${error?.message ?? stderr}`);
  return stdout;
}

/** Tools that are needed for a family, and the first of them that is absent. */
export function missingTool(family: Family): string | undefined {
  const { make, mount } = families[family];
  return [make[0] ?? '', mount[0] ?? ''].find((tool) => spawnSync('which', [tool]).status !== 0);
}

/** Mounts the raw disk while `use` runs. The loop device goes with the mount. */
export async function withMount<T>(work: string, disk: { readonly family: Family; readonly raw: string }, access: 'ro' | 'rw', use: (directory: string) => Promise<T> | T): Promise<T> {
  const directory = path.join(work, `mount-${disk.family}`);
  mkdirSync(directory);
  const [program = '', ...words] = families[disk.family].mount.map((word) => word.replace('{access}', access));
  runTool([program, ...words, disk.raw, directory]);
  try {
    return await use(directory);
  } finally {
    runTool(['umount', directory]);
    rmdirSync(directory);
  }
}

/** Writes `/large`, the key stream of a cipher, and the small files. Returns the SHA-256 of `/large`. */
function fill(directory: string, sizes: Sizes): string {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const hash = createHash('sha256');
  const zeroes = Buffer.alloc(MIB);
  const file = openSync(path.join(directory, 'large'), 'w');
  for (let offset = 0; offset < sizes.largeBytes; offset += MIB) {
    const piece = cipher.update(zeroes);
    hash.update(piece);
    writeSync(file, piece);
  }
  closeSync(file);
  for (let d = 0; d < sizes.directories; d += 1) {
    const folder = path.join(directory, `directory-${d}`);
    mkdirSync(folder);
    for (let f = 0; f < sizes.filesEach; f += 1) writeFileSync(path.join(folder, `file-${d}-${f}.txt`), `${d} ${f}\n`);
  }
  return hash.digest('hex');
}

function dataRuns(raw: string, bytes: number): GuestDisk['runs'] {
  const map = JSON.parse(runTool(['qemu-img', 'map', '-f', 'raw', '--output=json', raw])) as { start: number; length: number; data: boolean }[];
  const runs: { offset: number; length: number }[] = [];
  let left = bytes;
  for (const { start, length } of map.filter(({ data }) => data).sort((a, b) => b.length - a.length)) {
    const taken = Math.min(length, left) - Math.min(length, left) % MIB;
    if (taken > 0) runs.push({ offset: start, length: taken });
    left -= taken;
  }
  if (left > 0) throw new Error(`Find the data of '${raw}': '${left}' bytes of '${bytes}' are missing`);
  return runs;
}

/** Makes one disk and converts it. */
export async function makeDisk(work: string, family: Family, containers: readonly Container[], sizes: Sizes): Promise<GuestDisk> {
  const raw = path.join(work, `${family}.raw`);
  writeFileSync(raw, '');
  truncateSync(raw, sizes.diskBytes);
  runTool([...families[family].make, raw]);
  const sha256 = await withMount(work, { family, raw }, 'rw', (directory) => fill(directory, sizes));
  const files = new Map<Container, string>([['raw', raw]]);
  for (const container of containers) {
    const file = path.join(work, `${family}.${container}`);
    runTool(['qemu-img', 'convert', '-f', 'raw', '-O', container, ...(container === 'vhdx' ? ['-o', 'subformat=dynamic'] : []), raw, file]);
    files.set(container, file);
  }
  return { family, files, sha256, runs: dataRuns(raw, sizes.largeBytes) };
}
