/** What only btrfs can do to a tree, and what a crash leaves: compressed and shared extents, snapshots, and syncs that end in its log. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { runTool } from '../images/tools.ts';
import { below, pick, randomBytes, type Random } from './random-name.ts';

const WORDS = ['volume ', 'backup ', 'restore ', 'catalog\n', 'holdfast ', '0123456789', '\0\0\0\0\0\0\0\0\0\0\0\0'];

/** Bytes that compress, or don't. */
function content(random: Random, length: number): Buffer {
  if (below(random, 4) === 0) return randomBytes(random, length);
  const parts: string[] = [];
  for (let bytes = 0; bytes < length; bytes += 6) parts.push(pick(random, WORDS), String(below(random, 50)));
  return Buffer.from(parts.join('')).subarray(0, length);
}

function write(file: string, at: number, bytes: Uint8Array): void {
  const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT);
  try {
    fs.writeSync(fd, bytes, 0, bytes.length, at);
  } finally {
    fs.closeSync(fd);
  }
}

/** Makes what was written reach the disk in pieces, so that extents are overwritten there. */
function flush(file: string): void {
  const fd = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function shareRange(random: Random, from: string, to: string): void {
  const blocks = Math.floor(fs.statSync(from).size / 4096);
  if (blocks === 0) return;
  const start = below(random, blocks);
  const length = (1 + below(random, blocks - start)) * 4096;
  runTool('.', 'xfs_io', ['-f', '-c', `reflink ${from} ${start * 4096} ${below(random, 40) * 4096} ${length}`, to]);
}

/** Files with compressed, overwritten, shared and punched extents in a new directory. */
export function growExtents(directory: string, random: Random): void {
  fs.mkdirSync(directory);
  if (below(random, 3) === 0) runTool('.', 'btrfs', ['property', 'set', directory, 'compression', pick(random, ['zlib', 'lzo', 'zstd'])]);
  const files: string[] = [];
  for (let i = 0; i < 14; i += 1) {
    const file = path.join(directory, `f${i}`);
    write(file, 0, content(random, pick(random, [1, 60, 1900, 4095, 4096, 5000, 40_000, 131_072, 300_000, 900_000])));
    files.push(file);
  }
  if (below(random, 3) === 0) {
    const plain = path.join(directory, 'nocow');
    fs.closeSync(fs.openSync(plain, 'w'));
    // Refused where the directory compresses: then it is one more plain file.
    spawnSync('chattr', ['+C', plain]);
    files.push(plain);
  }
  for (let i = 0; i < 40; i += 1) {
    const file = pick(random, files);
    const { size } = fs.statSync(file);
    const step = below(random, 8);
    if (step < 3) write(file, below(random, size + 20_000), content(random, 1 + below(random, 60_000)));
    else if (step === 3) fs.truncateSync(file, below(random, size * 2 + 10));
    else if (step === 4) spawnSync('fallocate', ['--punch-hole', '-o', String(below(random, size + 1)), '-l', String(1 + below(random, 50_000)), file]);
    else if (step === 5 && !file.endsWith('nocow')) shareRange(random, file, path.join(directory, `shared${i}`));
    else if (step === 6) spawnSync('fallocate', ['--keep-size', '-o', String(size), '-l', '100000', file]);
    else flush(file);
  }
  if (below(random, 3) === 0) spawnSync('btrfs', ['filesystem', 'defragment', '-r', '-czstd', directory]);
}

/** Subvolumes, one inside of the other, and snapshots of them, of which one may become what is mounted by default. */
export function growSnapshots(top: string, random: Random, grow: (directory: string) => void): void {
  const one = path.join(top, 'one');
  for (const subvolume of [one, path.join(one, 'nested'), path.join(top, 'gone')]) {
    runTool('.', 'btrfs', ['subvolume', 'create', subvolume]);
    grow(path.join(subvolume, 'tree'));
  }
  fs.chownSync(one, 77, 88);
  runTool('.', 'btrfs', ['subvolume', 'snapshot', '-r', one, path.join(top, 'before')]);
  write(path.join(one, 'tree', 'f1'), 3000, content(random, 9000));
  fs.rmSync(path.join(one, 'tree', 'f2'));
  runTool('.', 'btrfs', ['subvolume', 'snapshot', one, path.join(one, 'tree', 'within')]);
  runTool('.', 'btrfs', ['subvolume', 'delete', '-c', path.join(top, 'gone')]);
  fs.renameSync(one, path.join(top, 'renamed one'));
  if (below(random, 4) === 0) runTool('.', 'btrfs', ['subvolume', 'set-default', path.join(top, 'renamed one')]);
}

interface SyncState {
  readonly directory: string;
  readonly random: Random;
  serial: number;
}

function sync(target: string): void {
  const fd = fs.openSync(target, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function existing({ directory, random }: SyncState): string | undefined {
  const names = fs.readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.startsWith('nocow'));
  return names.length === 0 ? undefined : path.join(directory, pick(random, names).name);
}

/** What a step works with: a name that is free, and a file that mostly is there. */
interface StepFiles {
  readonly fresh: string;
  readonly file: string;
  readonly size: number;
}

type Step = (state: SyncState, files: StepFiles) => void;

const contentSteps: readonly Step[] = [
  ({ random }, { fresh }) => { write(fresh, 0, content(random, below(random, 200_000))); sync(fresh); },
  ({ random }, { file, size }) => { write(file, size, content(random, 1 + below(random, 30_000))); sync(file); },
  ({ random }, { file, size }) => { write(file, below(random, size + 1), content(random, 1 + below(random, 50_000))); sync(file); },
  ({ random }, { file, size }) => { write(file, 0, content(random, 10)); fs.truncateSync(file, below(random, size + 100)); sync(file); },
  ({ random }, { file, size }) => {
    write(file, 0, content(random, 10));
    spawnSync('fallocate', [...pick(random, [['--punch-hole'], ['--keep-size'], []]), '-o', String(below(random, size + 1)), '-l', '20000', file]);
    sync(file);
  },
  ({ random }, { file }) => {
    write(file, 0, content(random, 10));
    spawnSync('setfattr', ['-n', `user.a${below(random, 4)}`, '-v', 'value', file]);
    spawnSync('setfattr', ['-x', `user.a${below(random, 4)}`, file]);
    sync(file);
  },
  ({ random }, { fresh }) => { write(fresh, 0, content(random, 3000)); },
];

const nameSteps: readonly Step[] = [
  (_, { file, fresh }) => { fs.renameSync(file, fresh); sync(fresh); },
  ({ directory }, { file }) => { fs.rmSync(file); sync(directory); },
  (_, { file, fresh }) => { fs.linkSync(file, fresh); sync(file); },
  ({ random }, { file, fresh }) => { write(fresh, 0, content(random, 9000)); sync(fresh); fs.renameSync(fresh, file); sync(file); },
  ({ random }, { file }) => { fs.rmSync(file); write(file, 0, content(random, 100)); sync(file); },
  (_, { file, fresh }) => { fs.linkSync(file, fresh); fs.rmSync(file); sync(fresh); },
  (_, { file, fresh }) => { fs.mkdirSync(fresh); fs.renameSync(file, path.join(fresh, 'moved')); sync(path.join(fresh, 'moved')); },
  (_, { file, fresh }) => { fs.mkdirSync(fresh); fs.linkSync(file, path.join(fresh, 'moved')); sync(fresh); fs.renameSync(fresh, `${fresh} again`); sync(`${fresh} again`); },
  (_, { file, fresh }) => {
    for (let i = 0; i < 60; i += 1) fs.linkSync(file, `${fresh} ${String(i).padEnd(200, 'x')}`);
    sync(file);
    for (let i = 0; i < 60; i += 3) fs.rmSync(`${fresh} ${String(i).padEnd(200, 'x')}`);
    sync(file);
  },
  ({ directory, random }, { fresh }) => { fs.symlinkSync('x'.repeat(1 + below(random, 300)), fresh); sync(directory); },
  ({ random }, { fresh }) => { fs.mkdirSync(fresh); write(path.join(fresh, 'inside'), 0, content(random, 5000)); fs.symlinkSync('target', path.join(fresh, 'link')); sync(fresh); },
];

/** One change and, most times, the sync of what it changed. */
function syncedStep(state: SyncState): void {
  const { directory, random } = state;
  const fresh = path.join(directory, `new ${state.serial += 1}`);
  const file = existing(state);
  if (file === undefined) {
    write(fresh, 0, content(random, 5000));
    return;
  }
  try {
    pick(random, below(random, 2) === 0 ? contentSteps : nameSteps)(state, { fresh, file, size: fs.statSync(file).size });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMLINK') throw error; // without extref an inode has room for some thirty long names: what was done counts
  }
}

/** Changes files below `directories` and syncs them one by one, which btrfs keeps in its log until the next commit. */
export function syncSome(directories: readonly string[], random: Random): void {
  for (const directory of directories) {
    const state: SyncState = { directory, random, serial: 0 };
    for (let i = 0; i < 4 + below(random, 30); i += 1) syncedStep(state);
  }
}
