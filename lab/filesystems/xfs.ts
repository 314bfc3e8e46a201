/**
 * XFS: images with random choices of mkfs.xfs, grown in the kernel's mount, every name, fact and byte compared with what the kernel shows. Of
 * three images one is stopped as by a power cut, in the middle of it all or at its end, and compared with what the kernel recovers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultLimits } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';
import { xfsDriver } from '../../src/formats/filesystems/xfs/xfs.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { imagesFolder } from '../images/corpus.ts';
import { runTool } from '../images/tools.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { compareWithMount } from './differential.ts';
import { cutPower, makeImage, withMount } from './loop-image.ts';
import { differencesFromImageManifest } from './manifest.ts';
import { below, pick, type Random } from './random-name.ts';
import { posixProfile } from './tree-profile.ts';
import type { GrowRequest } from './xfs-grow.ts';
import { tearLog } from './xfs-torn.ts';
import { checkOldImages } from './xfs-v4.ts';

const IMAGES = Number(process.env['HOLDFAST_IMAGES'] ?? 48);
/** With these variables, mkfs.xfs makes filesystems that are smaller than it thinks useful. */
const smallFilesystems = ['TEST_DIR=/nowhere', 'TEST_DEV=/nowhere', 'QA_CHECK_FS=1'] as const;
const MIB = 1 << 20;
/** What the kernel lets XFS have. */
const DEVICE_MAX = { major: 511, minor: 0x3_ffff } as const;
/** Seconds since 1970 that big timestamps reach, about; and those of 32 bits. */
const LAST_SECOND = { bigtime: 16_000_000_000, legacy: 0x7fff_ffff } as const;

interface Choice {
  readonly bytes: number;
  readonly mkfs: readonly string[];
  readonly request: Omit<GrowRequest, 'directory'>;
  /** Undefined: unmounted in order. `amid`: while the tree grows. */
  readonly cut: 'amid' | 'flushed' | 'lost' | undefined;
}

/** Large blocks need a large log. */
function logOptions(block: number, random: Random): string {
  const size = block > 8192 ? 160 : block > 4096 ? 96 : pick(random, [20, 32, 48, 64].filter((mib) => block === 1024 || mib > 20));
  return `size=${size}m${pick(random, ['', '', block > 32_768 ? '' : ',su=32k', ',su=256k'])}`;
}

function chooseImage(i: number, random: Random): Choice {
  const block = pick(random, [1024, 1024, 2048, 4096, 4096, 4096, 4096, 8192, 16_384, 65_536]);
  const inode = pick(random, [512, 512, 1024, 2048].filter((bytes) => bytes <= block / 2));
  const bit = (): number => below(random, 2);
  const sector = block >= 4096 ? pick(random, [512, 512, 4096]) : 512;
  const isCut = i % 3 === 0;
  const reflink = bit();
  const bigtime = bit();
  const nameBlock = pick(random, [4096, 4096, 8192, 16_384, 65_536].filter((bytes) => bytes >= block));
  const features = [`reflink=${reflink}`, `rmapbt=${bit()}`, `bigtime=${bigtime}`, ...(bit() === 0 ? ['finobt=0,inobtcount=0'] : ['finobt=1', `inobtcount=${bit()}`])];
  const mkfs = [
    'mkfs.xfs', '-q', '-f', '-b', `size=${block}`, '-i', `size=${inode},nrext64=${bit()},sparse=${bit()}`, '-n', `size=${nameBlock}`, '-s', `size=${sector}`, '-m', features.join(','),
    '-d', `agcount=${pick(random, [2, 2, 4, 4])}`, '-l', logOptions(block, random),
    ...(bit() === 0 ? ['-L', `label-${i}`] : []),
  ];
  const times = { from: -0x8000_0000, to: bigtime === 1 ? LAST_SECOND.bigtime : LAST_SECOND.legacy, unitNanoseconds: 1 };
  const profile = { ...posixProfile, steps: 150 + below(random, 300), bigDirectoryEntries: pick(random, [200, 600, 2000]), attributeBytesMax: pick(random, [200, 4000, 65_536]), contentBytes: 10 * MIB, deviceMax: DEVICE_MAX, times };
  return {
    bytes: (720 + below(random, 400)) * MIB, mkfs, request: { seed: below(random, 2 ** 32), profile, blockBytes: block, reflink: reflink === 1, extents: pick(random, [0, 60, 1500]), churn: isCut ? pick(random, [0, 0, 15_000]) : 0 },
    cut: isCut ? pick(random, ['amid', 'amid', 'flushed', 'lost'] as const) : undefined,
  };
}

async function ended(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => { said += bytes.toString(); });
  const [code] = await once(child, 'close') as [number | null];
  return code === 0 ? '' : said;
}

/** Grows the tree in another process, so that the power can be cut meanwhile. */
async function grow(directory: string, { request, cut }: Choice, random: Random): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./xfs-grow.js', import.meta.url)), JSON.stringify({ ...request, directory } satisfies GrowRequest)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const result = ended(child);
  if (cut === 'amid') {
    await new Promise((resolve) => { setTimeout(resolve, 300 + below(random, 2500)); });
    cutPower(directory, below(random, 2) === 0);
    child.kill();
    await result;
    return;
  }
  const said = await result;
  if (said !== '') throw new Error(`grow a tree: ${said.slice(-800)}`);
  if (cut !== undefined) cutPower(directory, cut === 'flushed');
}

async function withFilesystem<T>(file: string, work: (filesystem: Filesystem) => Promise<T>): Promise<T> {
  const filesystem = await xfsDriver.open([await fileSource(file)], { limits: defaultLimits });
  try {
    return await work(filesystem);
  } finally {
    await filesystem.close();
  }
}

/** Differences from what the kernel shows, once it has recovered what is to be recovered. */
async function compareWithKernel(image: string, isDirty: boolean): Promise<{ readonly differences: readonly string[]; readonly remarks: string }> {
  const bare = `${image}.bare`;
  const directory = `${image}.mount`;
  runTool('.', 'cp', ['--sparse=always', image, bare]);
  try {
    if (isDirty) await withMount(image, directory, { write: true, type: 'xfs' }, () => undefined);
    return await withMount(image, directory, { type: 'xfs' }, () => withFilesystem(bare, async (filesystem) => ({
      differences: [...await compareWithMount(filesystem, directory), ...filesystem.problems().map(({ message }) => `problem: ${message}`)], remarks: filesystem.facts.remarks.join('; '),
    })));
  } finally {
    rmSync(bare, { force: true });
  }
}

async function checkAgainstKernel(image: string, isDirty: boolean, what: string, checks: Checks): Promise<void> {
  const { differences, remarks } = await compareWithKernel(image, isDirty);
  checks.expect(remarks === '' ? what : `${what} (${remarks})`, differences.length === 0, `${differences.length} differences: ${differences.slice(0, 5).join('; ')}`);
}

/** A log may be torn so far back that the kernel refuses the filesystem: then there is nothing to compare with. */
async function checkTorn(torn: string, what: string, checks: Checks): Promise<void> {
  const copy = `${torn}.tried`;
  runTool('.', 'cp', ['--sparse=always', torn, copy]);
  try {
    await withMount(copy, `${copy}.mount`, { write: true, type: 'xfs' }, () => undefined);
  } catch (error) {
    checks.skip(`${what}: the kernel refuses it (${String(error).split('\n')[0]?.slice(0, 100)})`);
    return;
  } finally {
    rmSync(copy, { force: true });
  }
  await checkAgainstKernel(torn, true, what, checks);
}

async function checkImage(work: string, i: number, { random, seed }: { readonly random: Random; readonly seed: number }, checks: Checks): Promise<void> {
  const choice = chooseImage(i, random);
  const image = path.join(work, `${i}.img`);
  const what = `image ${i} of seed ${seed}: ${choice.mkfs.slice(3).join(' ')}${choice.cut === undefined ? '' : `, power cut ${choice.cut}`}`;
  try {
    makeImage(image, choice.bytes, ['env', ...smallFilesystems, ...choice.mkfs]);
    await withMount(image, `${image}.mount`, { write: true, type: 'xfs' }, (directory) => grow(directory, choice, random));
    const torn = `${image}.torn`;
    if (choice.cut !== undefined) runTool('.', 'cp', ['--sparse=always', image, torn]);
    await checkAgainstKernel(image, choice.cut !== undefined, what, checks);
    const how = choice.cut === undefined ? undefined : await tearLog(torn, random);
    if (how !== undefined) await checkTorn(torn, `image ${i} with a torn log: ${how}`, checks);
    rmSync(torn, { force: true });
  } catch (error) {
    checks.expect(what, false, String(error));
  } finally {
    if (process.env['HOLDFAST_LAB_KEEP'] !== '1') rmSync(image, { force: true });
  }
}

async function checkCorpus(checks: Checks): Promise<void> {
  const folder = imagesFolder();
  if (folder === undefined) {
    checks.skip('images of the corpus: it has no images-public');
    return;
  }
  for (const [image, manifest] of [['xfs-v5', 'xfs-v5'], ['xfs-v4', 'xfs-v4'], ['xfs-dirty-journal', 'xfs-dirty-journal.after-replay']] as const) {
    const found = await withFilesystem(path.join(folder, `${image}.raw`), (filesystem) => differencesFromImageManifest(filesystem, path.join(folder, `${manifest}.manifest.jsonl`)));
    checks.expect(`${image} of the corpus`, found.length === 0, `${found.length} differences: ${found.slice(0, 5).join('; ')}`);
  }
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  const random = seededRandom(context.seed);
  await checkCorpus(checks);
  for (let i = 0; i < IMAGES; i += 1) await checkImage(context.workDirectory, i, { random, seed: context.seed }, checks);
  await checkOldImages({ work: context.workDirectory, count: Math.ceil(IMAGES / 4), environment: smallFilesystems, open: withFilesystem }, random, checks);
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'fs-xfs', needs: ['root', 'mkfs.xfs', 'xfs_io', 'fallocate', 'mount', 'qemu-system-x86_64', 'busybox', 'cpio', 'dpkg-deb', 'apt-get'], quick: false, run };
