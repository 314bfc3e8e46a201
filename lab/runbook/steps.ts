/** What each step of the runbook is tried with: the trouble before it, and what must hold after it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { seededBytes } from '../../src/core/testing/random.ts';
import { holdfast } from '../holdfast.ts';
import { sameTree, type Stage } from './stage.ts';

/** How a step is tried. */
export interface StepTrial {
  /** Programs and `root`, beyond bash, diff, tar and rsync. */
  readonly needs?: readonly string[];
  /** Brings about the trouble; the stage is filled before unless `fills`. */
  prepare?(stage: Stage): Promise<void> | void;
  /** Makes the repository itself, instead of the usual one. */
  fills?(stage: Stage, mebibytes: number, seed: number): Promise<void>;
  /** @returns what is not as it must be after the step; '' when all is well */
  verify(stage: Stage): Promise<string> | string;
}

const LARGE_BYTES = 96 << 20;

function overwrite(file: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

/** Damages the middle of a file. */
function spoil(file: string): void {
  overwrite(file, Math.floor(statSync(file).size / 2), Buffer.from('a failing disk wrote this here'));
}

/** Both snapshots restore exactly. */
async function bothExact(stage: Stage, repository: string = stage.repository): Promise<string> {
  return await stage.difference('first', repository) || stage.difference('second', repository);
}

/** The second snapshot restores exactly, and the first but for the files that the source has no more: `fill` changed these. */
async function sourceExact(stage: Stage, repository: string = stage.repository): Promise<string> {
  const lost = await stage.failures('first', repository);
  const wish = ['notes.txt', 'small-1', 'small-2'];
  return lost.join() === wish.join() ? stage.difference('second', repository) : `lost are '${lost.join(' ')}', expected '${wish.join(' ')}'`;
}

/** A container that holds data of the second snapshot's source too, so that the source can heal it. */
function dataContainer(stage: Stage): string {
  return stage.files('containers')[0] ?? '';
}

/** Resolves once a backup has announced itself. */
async function isAtWork(stage: Stage): Promise<void> {
  const directory = path.join(stage.repository, 'sessions');
  const deadline = Date.now() + 20_000;
  while (!existsSync(directory) || readdirSync(directory).length === 0) {
    if (Date.now() > deadline) throw new Error('Wait for a backup under way: none after 20 s');
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

/** Starts a shell in the background; the stage waits for its end. */
function start(stage: Stage, commands: string): ChildProcess {
  const child = spawn('bash', ['-euc', commands], { stdio: 'ignore', env: { ...process.env, ...stage.environment } });
  const end = new Promise<void>((resolve) => { child.on('close', () => { resolve(); }); });
  stage.waits.push(() => end);
  return child;
}

/** A backup that takes a while, under way. `shell` starts it. */
async function longBackup(stage: Stage, shell = 'exec'): Promise<ChildProcess> {
  const large = path.join(stage.root, 'large');
  writeFileSync(large, seededBytes(LARGE_BYTES, 1));
  const child = start(stage, `${shell} holdfast backup '${large}' --repo "$REPO"`);
  await isAtWork(stage);
  return child;
}

function mountImage(stage: Stage, megabytes: number, make: readonly string[]): string {
  const [image, mount] = [path.join(stage.root, 'image'), path.join(stage.root, 'mount')];
  writeFileSync(image, '');
  truncateSync(image, megabytes << 20);
  const [program = '', ...words] = make;
  execFileSync(program, [...words, image], { stdio: 'ignore' });
  mkdirSync(mount);
  execFileSync('mount', ['-o', 'loop', image, mount]);
  stage.cleanUps.push(() => { execFileSync('umount', [mount]); });
  return mount;
}

const caches: Readonly<Record<string, StepTrial>> = {
  'look': { verify: (stage) => bothExact(stage) },
  'lost-index': {
    prepare: (stage) => { rmSync(path.join(stage.repository, 'index'), { recursive: true }); },
    verify: (stage) => bothExact(stage),
  },
  'damaged-index': {
    prepare: (stage) => { for (const file of stage.files('index')) if (statSync(file).size > 0) spoil(file); },
    verify: (stage) => bothExact(stage),
  },
  'lost-filter': {
    prepare: (stage) => { for (const file of stage.files('cache')) spoil(file); },
    verify: (stage) => bothExact(stage),
  },
  'lost-caches': { verify: (stage) => bothExact(stage) },
};

const damage: Readonly<Record<string, StepTrial>> = {
  'damaged-container': { prepare: (stage) => { spoil(dataContainer(stage)); }, verify: (stage) => bothExact(stage) },
  'lost-container': { prepare: (stage) => { rmSync(dataContainer(stage)); }, verify: (stage) => sourceExact(stage) },
  'container-from-copy': {
    prepare: (stage) => {
      cpSync(stage.repository, stage.copy, { recursive: true, preserveTimestamps: true });
      const [largest = '', next = ''] = stage.files('containers');
      spoil(largest);
      rmSync(next);
      rmSync(path.join(stage.repository, 'config'));
    },
    verify: (stage) => bothExact(stage),
  },
  'damaged-manifest': {
    prepare: (stage) => { spoil(path.join(stage.repository, 'manifests', stage.snapshots[0])); },
    verify: (stage) => stage.difference('second'),
  },
  'failing-disk': { prepare: (stage) => { rmSync(dataContainer(stage)); }, verify: (stage) => sourceExact(stage, stage.copy) },
};

const copies: Readonly<Record<string, StepTrial>> = {
  'cold-copy': {
    async verify(stage) {
      mkdirSync(stage.copy);
      execFileSync('tar', ['-C', stage.copy, '-xf', `${stage.copy}.tar`]);
      return bothExact(stage, stage.copy);
    },
  },
  'live-copy': {
    async prepare(stage) {
      // Small backups one after the other: manifests appear while the copy is made.
      start(stage, `for i in 1 2 3 4 5 6; do date +%N > "${stage.root}/tick"; holdfast backup "${stage.root}/tick" --repo "$REPO" -q; done`);
      await isAtWork(stage);
    },
    async verify(stage) {
      for (const wait of stage.waits) await wait();
      const count = readdirSync(path.join(stage.copy, 'manifests')).length;
      return count < 2 ? `only ${count} manifests were copied` : bothExact(stage, stage.copy);
    },
  },
  'btrfs-snapshot': {
    needs: ['root', 'mkfs.btrfs', 'btrfs', 'mount', 'umount'],
    async fills(stage, mebibytes, seed) {
      const mount = mountImage(stage, 256 + 4 * mebibytes, ['mkfs.btrfs', '-q']);
      stage.repository = path.join(mount, 'repository');
      execFileSync('btrfs', ['subvolume', 'create', stage.repository], { stdio: 'ignore' });
      Object.assign(stage.more, { COPY: path.join(mount, 'copy') });
      await stage.fill(mebibytes, seed);
      await longBackup(stage);
    },
    async verify(stage) {
      for (const wait of stage.waits) await wait();
      return bothExact(stage, stage.more['COPY'] ?? '');
    },
  },
  'new-machine': {
    prepare: (stage) => {
      execFileSync('tar', ['-C', stage.repository, '--exclude=./index', '--exclude=./cache', '-cf', `${stage.copy}.tar`, '.']);
      rmSync(stage.repository, { recursive: true });
    },
    verify: (stage) => sameTree(stage.source, stage.target),
  },
};

const mistakes: Readonly<Record<string, StepTrial>> = {
  'single-file': {
    verify: (stage) => (readFileSync(path.join(stage.target, 'notes.txt'), 'utf8') === 'right\n' ? '' : 'the file is not the right one'),
  },
  'forgotten-snapshot': {
    prepare: async (stage) => { await stage.must('holdfast forget "$REPO" "$SNAPSHOT"'); },
    verify: (stage) => sameTree(path.join(stage.root, 'was'), stage.target) || stage.difference('second'),
  },
  'disk-full': {
    needs: ['root', 'mkfs.ext4', 'mount', 'umount'],
    async fills(stage, mebibytes, seed) {
      const mount = mountImage(stage, 24 + 3 * mebibytes, ['mkfs.ext4', '-q', '-m', '0']);
      stage.repository = path.join(mount, 'repository');
      await stage.fill(mebibytes, seed);
      await stage.must('fallocate -l 4M "$REPO.spare"');
      await stage.must(`dd if=/dev/zero of='${mount}/other data' bs=4k 2>/dev/null || sync`);
      const refused = await holdfast(['backup', path.join(stage.source, 'big-0'), '--repo', stage.repository, '--parent', 'none', '--chunking', 'fixed']);
      if (refused.status !== 1) throw new Error(`Fill the disk: a backup ends with '${refused.status}', expected '1': ${refused.stderr}`);
    },
    async verify(stage) {
      return await stage.difference('second') || (await stage.backup() === '' ? 'no backup' : '');
    },
  },
  'dead-writer': {
    needs: ['root', 'unshare', 'hostname'],
    async prepare(stage) {
      Object.assign(stage.more, { AGE: '1s' });
      await stage.must('holdfast forget "$REPO" "$SNAPSHOT"'); // so that there is something to collect
      (await longBackup(stage, "exec unshare --uts bash -c 'hostname another-machine; exec \"$@\"' bash")).kill('SIGKILL');
      for (const wait of stage.waits) await wait();
      await new Promise((resolve) => { setTimeout(resolve, 1500); }); // older than AGE by the store's clock
    },
    async verify(stage) {
      const left = readdirSync(path.join(stage.repository, 'sessions'));
      return left.length > 0 ? `sessions are left: ${left.join(' ')}` : stage.difference('second');
    },
  },
  'lost-passphrase': {
    async fills(stage, mebibytes, seed) {
      const [first, other, fresh] = ['passphrase', 'other', 'new'].map((name) => path.join(stage.root, name)) as [string, string, string];
      writeFileSync(first, 'soon forgotten\n', { mode: 0o600 });
      writeFileSync(other, Buffer.from(Array.from({ length: 32 }, (_, i) => (seed + i * 37) & 0xff)), { mode: 0o600 });
      writeFileSync(fresh, 'remembered\n', { mode: 0o600 });
      await stage.fill(mebibytes, seed, ['--key', first]);
      await stage.must(`holdfast key add "$REPO" --key '${first}' --new-key '${other}'`);
      rmSync(first);
      Object.assign(stage.more, { OTHER: other, NEW: fresh });
    },
    verify: (stage) => sameTree(stage.source, stage.target) || stage.difference('first', stage.repository, ['--key', stage.more['NEW'] ?? '']),
  },
};

/** By id of the step. */
export const trials: Readonly<Record<string, StepTrial>> = { ...caches, ...damage, ...copies, ...mistakes };
