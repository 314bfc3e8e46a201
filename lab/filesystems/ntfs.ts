/**
 * NTFS: images with random choices of mkntfs, filled through ntfs-3g, every name, fact and byte compared with what ntfs-3g shows; WOF files
 * and links of Windows with what was written. The corpus, and its image with each kind of damage that a spare copy makes good.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { defaultLimits, lookupPath, MemorySource, readRange, textOf, utf8, type BlockSource } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';
import { ntfsDriver } from '../../src/formats/filesystems/ntfs/ntfs.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { findCorpus } from '../corpus.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { compareWithMount } from './differential.ts';
import type { CompareOptions } from './entry-facts.ts';
import { makeImage, withMount } from './loop-image.ts';
import { differencesFromImageManifest } from './manifest.ts';
import { addAttributeList, addCompressed, addOverlayFiles, addStreams, addWindowsLinks } from './ntfs-extras.ts';
import { below, pick, type Random } from './random-name.ts';
import { growTree } from './random-tree.ts';
import { posixProfile, type TreeProfile } from './tree-profile.ts';

const IMAGES = Number(process.env['HOLDFAST_IMAGES'] ?? 48);
const KIB = 1 << 10;
const MIB = 1 << 20;
/** Longer names can have more than 255 bytes in UTF-8, which `readdir` of libc cuts. */
const NAME_UNITS_MAX = 80;
/** Where Windows' own compression ends. */
const COMPRESSED_CLUSTER_MAX = 4 * KIB;
/** ntfs-3g shows the whole attribute, and none of its own when names are listed. */
const compare: CompareOptions = { timestampNanoseconds: 100, attribute: (name) => !name.startsWith('system.') };
/** Junctions show the mount point of ntfs-3g, WOF files need a plug-in, long streams are no attributes: these are compared with what was written. */
const isOwn = (name: string): boolean => name === 'links' || name === 'overlay' || name === 'streams';

interface Choice {
  readonly bytes: number;
  readonly mkfs: readonly string[];
  readonly clusterBytes: number;
  readonly options: string;
  readonly profile: TreeProfile;
}

function chooseImage(i: number, random: Random): Choice {
  const sectorBytes = pick(random, [512, 512, 1024, 2048, 4096]);
  const all = [512, 1024, 2048, 4096, 4096, 8192, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, MIB, 2 * MIB];
  const clusterBytes = pick(random, all.filter((bytes) => bytes >= sectorBytes && bytes <= sectorBytes * 4096));
  const bytes = Math.max(64 * MIB, Math.min(clusterBytes * 800, 1200 * MIB)) + below(random, 64) * 64 * KIB;
  const mkfs = [
    'mkntfs', '-F', '-q', '-Q', '-c', String(clusterBytes), '-s', String(sectorBytes), '-z', String(1 + below(random, 4)), '-p', '0', '-H', '255', '-S', '63', '-L', pick(random, ['plain', 'Ünïcødé', '日本語 disk', `n${i}`]),
  ];
  const profile: TreeProfile = {
    ...posixProfile, steps: 150 + below(random, 250), names: 'windows', nameLengthMax: pick(random, [20, NAME_UNITS_MAX]), acls: false, privilegedAttributes: false, preallocation: false, contentBytes: 12 * MIB,
    bigDirectoryEntries: clusterBytes > 64 * KIB ? 100 : pick(random, [100, 600, 1500]), sparseBytesMax: clusterBytes > 64 * KIB ? 0 : 20 * MIB, attributeBytesMax: pick(random, [200, 4000, 60_000]),
    // ntfs-3g shows times before 1970 in whole seconds.
    times: below(random, 2) === 0 ? { from: -11_644_473_600, to: 16_000_000_000, unitNanoseconds: 1e9 } : { from: 0, to: 16_000_000_000, unitNanoseconds: 100 },
  };
  return { bytes, mkfs, clusterBytes, options: pick(random, ['special_files=interix', 'special_files=wsl']), profile };
}

/** `user.*` attributes are streams in both kinds of mounts; to write streams by name takes the one, to list attributes the other. */
function mounting(interfaceName: 'xattr' | 'windows', options: string, write: boolean): { readonly write: boolean; readonly program: readonly string[] } {
  return { write, program: ['ntfs-3g', '-o', `{access},permissions,compression,streams_interface=${interfaceName},${options}`, '{image}', '{directory}'] };
}

async function withFilesystem<T>(source: () => Promise<BlockSource>, work: (filesystem: Filesystem) => Promise<T>): Promise<T> {
  const filesystem = await ntfsDriver.open([await source()], { limits: defaultLimits });
  try {
    return await work(filesystem);
  } finally {
    await filesystem.close();
  }
}

/** What was put into an image that ntfs-3g does not show as it is. */
interface Known {
  readonly links: ReadonlyMap<string, string>;
  readonly overlay: ReadonlyMap<string, Buffer>;
  /** By path and name: `a/b:stream`. */
  readonly streams: ReadonlyMap<string, Buffer>;
}

async function fill(image: string, choice: Choice, { random, seed }: { readonly random: Random; readonly seed: number }): Promise<Known> {
  const directory = `${image}.mount`;
  await withMount(image, directory, mounting('xattr', choice.options, true), () => { growTree(directory, seed, choice.profile); });
  return withMount(image, directory, mounting('windows', choice.options, true), () => {
    const streams = addStreams(directory, random);
    if (choice.clusterBytes <= COMPRESSED_CLUSTER_MAX) addCompressed(directory, random);
    addAttributeList(directory, random);
    return { links: addWindowsLinks(directory), overlay: addOverlayFiles(directory, random), streams };
  });
}

async function contentOf(filesystem: Filesystem, name: string): Promise<Uint8Array | undefined> {
  const [file = '', stream] = name.split(':');
  const id = await lookupPath(filesystem, utf8(file));
  if (id === undefined) return undefined;
  const source = await filesystem.open(id, stream);
  try {
    return await readRange(source, 0, source.size);
  } finally {
    await source.close();
  }
}

async function differencesFromKnown(filesystem: Filesystem, { links, overlay, streams }: Known): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const [name, expected] of links) {
    const id = await lookupPath(filesystem, utf8(name));
    const target = id === undefined ? 'absent' : path.posix.join(path.posix.dirname(name), textOf(await filesystem.readLink(id)));
    if (target !== expected) differences.push(`${name} leads to '${target}', expected '${expected}'`);
  }
  for (const [name, expected] of [...overlay, ...streams]) {
    const content = await contentOf(filesystem, name);
    if (content === undefined || Buffer.compare(content, expected) !== 0) differences.push(`${name} has other content`);
  }
  return differences;
}

async function checkImage(work: string, i: number, { random, seed }: { readonly random: Random; readonly seed: number }, checks: Checks): Promise<void> {
  const choice = chooseImage(i, random);
  const image = path.join(work, `${i}.img`);
  const what = `image ${i} of seed ${seed}: ${choice.mkfs.slice(4).join(' ')} of ${choice.bytes} bytes, ${choice.options}`;
  try {
    makeImage(image, choice.bytes, choice.mkfs);
    const known = await fill(image, choice, { random, seed: below(random, 2 ** 32) });
    const differences = await withMount(image, `${image}.mount`, mounting('xattr', choice.options, false), (directory) => withFilesystem(() => fileSource(image), async (filesystem) => [
      ...await compareWithMount(filesystem, directory, { ...compare, ignore: isOwn }), ...await differencesFromKnown(filesystem, known), ...filesystem.problems().map(({ message }) => `problem: ${message}`),
    ]));
    checks.expect(what, differences.length === 0, `${differences.length} differences: ${differences.slice(0, 6).join('; ')}`);
  } catch (error) {
    checks.expect(what, false, String(error));
  } finally {
    fs.rmSync(image, { force: true });
  }
}

/** Bytes of the image that are changed, and the kind of problem or remark that tells it. The image has sectors and clusters of 512 bytes. */
const damages: readonly (readonly [what: string, change: (image: Buffer, mft: number) => void])[] = [
  ['a torn first record', (image, mft) => { image.writeUInt8(image.readUInt8(mft + 510) ^ 0xff, mft + 510); }],
  ['a first attribute without length', (image, mft) => { image.writeUInt32LE(0, mft + image.readUInt16LE(mft + 20) + 4); }],
  ['a boot sector without clusters', (image) => { image.writeUInt8(0, 13); }],
  ['no boot sector', (image) => { image.fill(0, 0, 512); }],
  ['no root of the table of records in its place', (image, mft) => { image.fill(0, mft, mft + 1024); }],
];

async function checkCorpus(checks: Checks): Promise<void> {
  const corpus = findCorpus();
  const folder = 'folder' in corpus ? path.join(path.dirname(corpus.folder), 'images-public') : '';
  if (!fs.existsSync(path.join(folder, 'ntfs-4k.raw'))) {
    checks.skip('images of the corpus: it has no images-public');
    return;
  }
  const check = async (what: string, name: string, source: () => Promise<BlockSource>): Promise<void> => {
    const found = await withFilesystem(source, async (filesystem) => {
      const differences = await differencesFromImageManifest(filesystem, path.join(folder, `${name}.manifest.jsonl`), { ...compare, ignore: (entry) => entry === 'reparse/junction' });
      const junction = await lookupPath(filesystem, utf8('reparse/junction'));
      return junction === undefined || textOf(await filesystem.readLink(junction)) === '../deep/level00' ? differences : [...differences, 'the junction leads elsewhere'];
    });
    checks.expect(what, found.length === 0, `${found.length} differences: ${found.slice(0, 5).join('; ')}`);
  };
  for (const name of ['ntfs-4k', 'ntfs-512', 'ntfs-64k', 'ntfs-4kn']) await check(`${name} of the corpus`, name, () => fileSource(path.join(folder, `${name}.raw`)));
  for (const [what, change] of damages) {
    const image = fs.readFileSync(path.join(folder, 'ntfs-512.raw'));
    change(image, Number(image.readBigUInt64LE(48)) * image.readUInt16LE(11) * image.readUInt8(13));
    await check(`ntfs-512 of the corpus with ${what}`, 'ntfs-512', () => Promise.resolve(new MemorySource(image)));
  }
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  const random = seededRandom(context.seed);
  await checkCorpus(checks);
  for (let i = 0; i < IMAGES; i += 1) await checkImage(context.workDirectory, i, { random, seed: context.seed }, checks);
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'fs-ntfs', needs: ['root', 'mkntfs', 'ntfs-3g', 'setfattr', 'wimlib-imagex', 'umount'], quick: false, run };
