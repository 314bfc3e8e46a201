/**
 * ext4 with fast commits behind the last transaction of its journal: images that are copied while they are mounted, whole or with a log that was torn,
 * against what the kernel makes of them.
 */
import { closeSync, copyFileSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { FileTree } from '../../src/core/index.ts';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { differencesOf, surveyTree, type TreeFacts } from './entry-facts.ts';
import { FastWork } from './ext-fast-work.ts';
import { makeImage, withMount } from './loop-image.ts';
import { below, pick, type Random } from './random-name.ts';
import { growTree, posixProfile } from './random-tree.ts';

const IMAGE_BYTES = 48 << 20;
/** What a head begins with: tag 9, 8 bytes, no features. */
const HEAD = Buffer.from('0900080000000000', 'hex');
/** Blocks that are torn: among so many behind the head. */
const TORN_MAX = 6;

/** What one image showed. */
export interface FastOutcome {
  readonly what: string;
  /** With what was there at the last sync, and with what the kernel's replay shows where that is not a loss. */
  readonly differences: readonly string[];
  /** Facts that are others without the fast commits. */
  readonly fastFacts: number;
  /** Where the kernel's replay is otherwise, and we are as it was at the last sync. */
  readonly kernelLosses: readonly string[];
  /** The same of the image with a torn log. */
  readonly torn?: { readonly what: string; readonly differences: readonly string[] };
}

/** How the caller opens an image. */
export type OpenImage = (file: string) => Promise<FileTree>;

function recipeOf(random: Random, isTorn: boolean): { readonly parameters: readonly string[]; readonly blockBytes: number } {
  const blockBytes = pick(random, [1024, 2048, 4096]);
  const maybe = (chance: number, ...features: readonly string[]): readonly string[] => (random() < chance ? features : []);
  const features = ['fast_commit', ...maybe(0.3, '^metadata_csum'), ...maybe(0.2, 'metadata_csum_seed'), ...maybe(isTorn ? 0 : 0.25, 'inline_data'), ...maybe(0.3, '^64bit'), ...maybe(0.2, '^dir_index'), ...maybe(0.2, 'bigalloc'), ...maybe(0.2, 'orphan_file')];
  const fits = features.includes('^metadata_csum') ? features.filter((feature) => feature !== 'metadata_csum_seed' && feature !== 'orphan_file') : features;
  const clusters = fits.includes('bigalloc') ? ['-C', String(blockBytes * 4)] : [];
  return { blockBytes, parameters: ['-q', '-F', '-t', 'ext4', '-b', String(blockBytes), '-I', String(pick(random, [128, 256, 256, 512].filter((bytes) => bytes > 128 || !fits.includes('inline_data')))), '-O', fits.join(','), ...clusters] };
}

/** A tree that is on the disk, then fast commits; the image as it then is goes to `copy`, and is unmounted after that. */
async function fill([image, copy]: readonly [string, string], mount: string, random: Random, isTorn: boolean): Promise<void> {
  await withMount(image, mount, { write: true, type: 'ext4', options: 'noatime' }, (directory) => {
    const plain = isTorn ? { attributeBytesMax: 0, privilegedAttributes: false, acls: false } : {};
    growTree(directory, below(random, 2 ** 32), { ...posixProfile, ...plain, names: 'utf8', steps: 60, contentBytes: 2 << 20, bigDirectoryEntries: pick(random, [0, 0, 600]) });
    const work = new FastWork(directory, random, !isTorn);
    work.round(10);
    for (let i = 1 + below(random, 12); i > 0; i -= 1) work.round(1 + below(random, 15));
    work.lastRound();
    copyFileSync(image, copy);
  });
}

/** The last block of the image that begins as a head does. */
function headOf(file: string, blockBytes: number): number | undefined {
  const fd = openSync(file, 'r');
  const block = Buffer.alloc(blockBytes);
  let found: number | undefined;
  for (let at = 0; at < statSync(file).size; at += blockBytes) {
    readSync(fd, block, 0, blockBytes, at);
    if (block.subarray(0, HEAD.length).equals(HEAD)) found = at;
  }
  closeSync(fd);
  return found;
}

function clear(file: string, at: number, length: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(length), 0, length, at);
  closeSync(fd);
}

async function surveyImage(file: string, open: OpenImage): Promise<TreeFacts> {
  const tree = await open(file);
  try {
    return await surveyTree(tree, {}, false);
  } finally {
    await tree.close();
  }
}

/** What the kernel shows; `undefined` when it does not mount the image. Replaying changes it. */
async function surveyMount(file: string, mount: string): Promise<TreeFacts | undefined> {
  let isMounted = false;
  try {
    return await withMount(file, mount, { write: true, type: 'ext4', options: 'noatime' }, async (directory) => {
      isMounted = true;
      const tree = new PosixTree({ root: Buffer.from(directory) });
      try {
        return await surveyTree(tree, {}, false);
      } finally {
        await tree.close();
      }
    });
  } catch (error) {
    if (isMounted) throw error;
    return undefined;
  }
}

/** Folders in which a replay changed names have the time of the mount, which no log knows. */
function withoutMountTimes(facts: TreeFacts, expected: TreeFacts, since: bigint): void {
  for (const [key, entry] of expected) {
    if (entry.get('type') !== 'directory') continue;
    for (const name of ['modified', 'changed']) {
      if (BigInt(entry.get(name) ?? '0') < since) continue;
      entry.delete(name);
      facts.get(key)?.delete(name);
    }
  }
}

/** What the kernel makes of an image, which it changes, and of what our reader finds that is otherwise. */
async function compareReplay(file: string, mount: string, found: TreeFacts): Promise<readonly string[] | undefined> {
  // In the unit of the facts; the kernel's clock ticks in milliseconds, and small inodes know seconds only.
  const since = BigInt(Math.floor((Date.now() - 20) / 1000)) * 1_000_000_000n;
  const expected = await surveyMount(file, mount);
  if (expected === undefined) return undefined;
  withoutMountTimes(found, expected, since);
  return differencesOf(found, expected, {});
}

/** What a line of a difference says of what was found. */
function foundOf(line: string): string {
  return line.replace(/, expected .*$/s, '');
}

/** What fast commits don't hold: times and links of folders. */
function withoutFolderFacts(found: TreeFacts): TreeFacts {
  return new Map([...found].map(([key, facts]) => (
    [key, facts.get('type') === 'directory' ? new Map([...facts].filter(([name]) => !['modified', 'changed', 'directory links'].includes(name))) : facts]
  )));
}

/**
 * One image; with `isTorn`, it is read once more with a block of its log that never reached the disk: of such images nobody knows what was there, so
 * that they have nothing in which the kernel's replay (6.18) goes wrong: inline content that grows, numbers of inodes that are used again.
 */
export async function checkFastImage(folder: string, random: Random, isTorn: boolean, open: OpenImage): Promise<FastOutcome> {
  mkdirSync(folder, { recursive: true });
  const [image, copy, torn, mount] = ['ext.img', 'copy.img', 'torn.img', 'mount'].map((name) => path.join(folder, name)) as [string, string, string, string];
  const { parameters, blockBytes } = recipeOf(random, isTorn);
  const what = `fast commits: mke2fs ${parameters.join(' ')}`;
  makeImage(image, IMAGE_BYTES, ['mke2fs', ...parameters]);
  await fill([image, copy], mount, random, isTorn);
  const head = headOf(copy, blockBytes);
  copyFileSync(copy, torn);
  if (head !== undefined) clear(torn, head, blockBytes);
  const bare = await surveyImage(torn, open);
  copyFileSync(copy, torn);
  const found = await surveyImage(copy, open);
  const fastFacts = differencesOf(found, bare, {}).length;
  const lines = await compareReplay(copy, mount, found) ?? ['the kernel does not mount it'];
  const atLastSync = await surveyImage(image, open);
  const wrong = new Set(differencesOf(found, atLastSync, {}).map(foundOf));
  const differences = lines.filter((line) => wrong.has(foundOf(line)));
  const outcome = { what, differences: [...differences, ...differencesOf(withoutFolderFacts(found), withoutFolderFacts(atLastSync), {})], fastFacts, kernelLosses: lines.filter((line) => !wrong.has(foundOf(line))) };
  if (!isTorn || head === undefined) return outcome;
  return { ...outcome, torn: await checkTorn(torn, mount, { at: head + below(random, TORN_MAX) * blockBytes, length: blockBytes, bare }, open) };
}

/** Clears a block of the log: what is before it counts. When that is nothing, the kernel does not mount the image, and ours is as without fast commits. */
async function checkTorn(file: string, mount: string, { at, length, bare }: { readonly at: number; readonly length: number; readonly bare: TreeFacts }, open: OpenImage): Promise<{ readonly what: string; readonly differences: readonly string[] }> {
  clear(file, at, length);
  const found = await surveyImage(file, open);
  const lines = await compareReplay(file, mount, found);
  return { what: `torn at ${at}${lines === undefined ? ', not mounted by the kernel' : ''}`, differences: lines ?? differencesOf(found, bare, {}) };
}
