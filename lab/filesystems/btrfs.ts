/**
 * btrfs against the kernel: images with random choices of mkfs and mount, over one or more devices, with subvolumes, snapshots, compressed and
 * shared extents; a third of them as a power cut left them, with what was synced in the log. Every name, fact and byte must be the kernel's.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { defaultLimits } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import { btrfsDriver } from '../../src/formats/filesystems/btrfs/btrfs.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { findCorpus } from '../corpus.ts';
import { runTool } from '../images/tools.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { growExtents, growSnapshots, syncSome } from './btrfs-changes.ts';
import { copyDevices, makeBtrfs, withBtrfs } from './btrfs-devices.ts';
import { compareWithMount, type CompareOptions } from './differential.ts';
import { makeImage, withMount } from './loop-image.ts';
import { differencesFromImageManifest } from './manifest.ts';
import { below, pick, type Random } from './random-name.ts';
import { growTree, posixProfile } from './random-tree.ts';

const IMAGES = Number(process.env['HOLDFAST_IMAGES'] ?? 45);
const MIB = 1 << 20;

/** How one image is made. */
interface Choice {
  readonly devices: number;
  readonly bytes: number;
  readonly mkfs: readonly string[];
  readonly mount: string;
  readonly crash: boolean;
  /** Who made it: the kernel alone, or tools besides. */
  readonly maker: 'kernel' | 'convert' | 'rootdir' | 'uuid';
  /** A device that is left out when the image is read. */
  readonly missing?: number;
}

/** Devices, profile of data, profile of metadata; whether one device may be missing. */
const spreads = [
  [1, 'single', 'single', false], [1, 'single', 'dup', false], [1, 'dup', 'dup', false], [2, 'raid0', 'raid1', false], [2, 'raid1', 'raid1', true], [2, 'single', 'raid1', false],
  [3, 'raid1c3', 'raid1c3', true], [3, 'raid5', 'raid1', true], [4, 'raid10', 'raid10', true], [4, 'raid1c4', 'raid1c3', true], [4, 'raid6', 'raid1c3', true], [3, 'raid0', 'raid0', false], [3, 'raid5', 'raid5', true],
] as const;

/** Images that tools wrote: an ext4 that became btrfs, one filled without the kernel, one whose uuid was changed. */
function chooseTool(i: number, random: Random): Choice {
  const maker = (['convert', 'rootdir', 'uuid'] as const)[Math.floor(i / 7) % 3] as 'convert' | 'rootdir' | 'uuid';
  const mkfs = ['-n', pick(random, ['4096', '16384', '65536']), ...(maker === 'convert' ? [] : ['--csum', pick(random, ['crc32c', 'xxhash'])])];
  return { devices: 1, bytes: 400 * MIB, mkfs: maker === 'convert' ? ['-N', mkfs[1] as string] : mkfs, mount: 'compress=zstd,commit=300', crash: false, maker };
}

function choose(i: number, random: Random): Choice {
  if (i % 7 === 3) return chooseTool(i, random);
  const mixed = i % 9 === 4;
  const [devices, data, metadata, spare] = mixed ? ([1, 'single', 'single', false] as const) : i % 2 === 0 ? spreads[0 + below(random, 3)] ?? spreads[0] : pick(random, spreads);
  const nodes = mixed ? '4k' : pick(random, ['4k', '8k', '16k', '16k', '32k', '64k']);
  const features = pick(random, [['no-holes', 'free-space-tree'], ['^no-holes', 'free-space-tree'], ['no-holes', '^free-space-tree'], ['^no-holes,^extref', '^free-space-tree'], ['no-holes,^skinny-metadata', 'free-space-tree,quota']] as const);
  const mkfs = ['-n', nodes, '--csum', pick(random, ['crc32c', 'crc32c', 'xxhash', 'sha256', 'blake2']), '-O', features[0], '-R', features[1], '-d', data, '-m', metadata, ...(mixed ? ['--mixed'] : [])];
  const mount = pick(random, ['rw', 'compress-force=zlib:3', 'compress-force=lzo', 'compress-force=zstd:1', 'compress=zstd', 'compress=lzo,autodefrag', 'nodatasum', 'nodatacow', 'max_inline=0', 'max_inline=3000,compress-force=zstd', 'compress-force=lzo,max_inline=2048']);
  return {
    devices, bytes: (mixed ? 180 : devices === 1 ? 400 : 260) * MIB, mkfs, mount: `${mount},commit=300`, crash: i % 3 === 2, maker: 'kernel',
    ...(spare && below(random, 2) === 0 ? { missing: below(random, devices) } : {}),
  };
}

async function fill(directory: string, choice: Choice, seed: number): Promise<void> {
  const random = seededRandom(seed);
  growTree(directory, seed, { ...posixProfile, steps: 200, contentBytes: 8 * MIB, bigDirectoryEntries: pick(random, [0, 300, 1500]) });
  growExtents(path.join(directory, 'extents'), random);
  growSnapshots(directory, random, (below) => { growExtents(below, random); });
  runTool('.', 'btrfs', ['filesystem', 'sync', directory]);
  if (choice.crash) syncSome([path.join(directory, 'extents'), path.join(directory, 'renamed one', 'tree'), path.join(directory, 'renamed one', 'nested', 'tree')], random);
}

/** Makes the filesystem, empty but for what its maker puts in. */
async function make(files: readonly string[], directory: string, choice: Choice, seed: number): Promise<void> {
  const [file = ''] = files;
  const grow = (place: string): void => { growTree(place, seed, { ...posixProfile, steps: 150, contentBytes: 8 * MIB }); };
  if (choice.maker === 'convert') {
    makeImage(file, choice.bytes, ['mkfs.ext4', '-q', '-F', '-b', '4096', '-I', '256']);
    await withMount(file, directory, { write: true }, grow);
    runTool('.', 'btrfs-convert', [...choice.mkfs, file]);
  } else if (choice.maker === 'rootdir') {
    mkdirSync(directory);
    try {
      grow(directory);
      makeImage(file, choice.bytes, ['mkfs.btrfs', '-q', '-f', '--rootdir', directory, ...choice.mkfs]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  } else await makeBtrfs(files, choice.bytes, choice.mkfs);
  if (choice.maker === 'uuid') runTool('.', 'btrfstune', ['-f', '-m', file]);
}

/**
 * Empty directories in the place of subvolumes: the kernel gives them the time of the moment, another one each time. While it replays a log, it gives
 * that time to what it unlinks, too.
 */
function compareOptions({ crash }: Choice): CompareOptions {
  return { ignore: (place) => /(?:^before|within)\/nested$/.test(place), omit: crash ? ['changed'] : [] };
}

async function differencesOf(files: readonly string[], directory: string, choice: Choice): Promise<readonly string[]> {
  const read = files.filter((_, i) => i !== choice.missing);
  const filesystem = await btrfsDriver.open(await Promise.all(read.map((file) => fileSource(file))), { limits: defaultLimits });
  try {
    const found = await compareWithMount(filesystem, directory, compareOptions(choice));
    const odd = filesystem.problems().filter(({ kind }) => kind !== 'spare-copy');
    const lost = filesystem.facts.remarks.filter((remark) => remark.includes('cannot be replayed'));
    return [...found, ...odd.map(({ message }) => `problem: ${message}`), ...lost];
  } finally {
    await filesystem.close();
  }
}

/** Whether the log holds anything: a crash image without one shows nothing that a clean one doesn't. */
async function hasLog(file: string): Promise<boolean> {
  const filesystem = await btrfsDriver.open([await fileSource(file)], { limits: defaultLimits, journal: 'ignore' }).catch(() => undefined);
  await filesystem?.close();
  return filesystem?.facts.clean === false;
}

async function checkImage(i: number, choice: Choice, seed: number, context: ScenarioContext): Promise<{ readonly differences: readonly string[]; readonly logged: boolean }> {
  const work = path.join(context.workDirectory, `image-${i}`);
  const directory = path.join(context.workDirectory, `mount-${i}`);
  mkdirSync(work);
  try {
    const files = Array.from({ length: choice.devices }, (_, device) => path.join(work, `device-${device}`));
    await make(files, directory, choice, seed + 1);
    const cut = await withBtrfs(files, directory, choice.mount, async () => {
      await fill(directory, choice, seed);
      return choice.crash ? copyDevices(files, '.cut') : undefined;
    });
    const ours = cut ?? files;
    const kernels = cut === undefined ? files : copyDevices(cut, '.replayed');
    const logged = choice.crash && await hasLog(ours[0] as string);
    const differences = await withBtrfs(kernels, directory, choice.crash ? 'rw,noatime' : 'ro', () => differencesOf(ours, directory, choice));
    return { differences, logged };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function checkCorpus(checks: Checks): Promise<void> {
  const corpus = findCorpus();
  if (!('folder' in corpus)) return checks.skip(`images of the corpus: ${corpus.reason}`);
  const folder = path.join(path.dirname(corpus.folder), 'images-public');
  for (const [manifest, ...names] of [['btrfs-single', 'btrfs-single'], ['btrfs-mixed-4k-xxhash', 'btrfs-mixed-4k-xxhash'], ['btrfs-raid1', 'btrfs-raid1-b', 'btrfs-raid1-a'], ['btrfs-raid1', 'btrfs-raid1-b']] as const) {
    const filesystem = await btrfsDriver.open(await Promise.all(names.map((name) => fileSource(path.join(folder, `${name}.raw`)))), { limits: defaultLimits });
    // The manifest takes equal inodes of several subvolumes for one.
    const found = await differencesFromImageManifest(filesystem, path.join(folder, `${manifest}.manifest.jsonl`), { omit: ['first name'], ignore: (place) => /^snap.*nested$/.test(place) }).finally(() => filesystem.close());
    checks.expect(`${names.join(' and ')} of the corpus`, found.length === 0, found.slice(0, 5).join('; '));
  }
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  await checkCorpus(checks);
  const random = seededRandom(context.seed);
  let logs = 0;
  for (let i = 0; i < IMAGES; i += 1) {
    const choice = choose(i, random);
    const seed = Math.floor(random() * 2 ** 32);
    const how = `${i}: ${choice.devices} devices, ${choice.mkfs.join(' ')}, ${choice.mount}${choice.maker === 'kernel' ? '' : `, made by ${choice.maker}`}${choice.crash ? ', power cut' : ''}${choice.missing === undefined ? '' : `, without device ${choice.missing + 1}`}`;
    try {
      const { differences, logged } = await checkImage(i, choice, seed, context);
      logs += logged ? 1 : 0;
      checks.expect(how, differences.length === 0, `${differences.length} differences: ${differences.slice(0, 5).join('; ')}`);
    } catch (error) {
      checks.expect(how, false, String(error));
    }
  }
  if (IMAGES >= 12) checks.expect(`power cuts left logs to replay (${logs})`, logs >= IMAGES / 6, `${logs} of ${IMAGES} images`);
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = {
  name: 'fs-btrfs',
  needs: ['root', 'mkfs.btrfs', 'btrfs', 'btrfs-convert', 'btrfstune', 'mkfs.ext4', 'losetup', 'xfs_io', 'fallocate', 'chattr', 'setfattr'],
  quick: false,
  run,
};
