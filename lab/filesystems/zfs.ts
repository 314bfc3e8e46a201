/**
 * ZFS: pools of OpenZFS, made and filled by its kernel module in a guest, with random choices of devices, properties and versions, and every
 * name, fact and byte of every dataset and of a snapshot compared with what the kernel shows; some with members missing, some as a crash left them.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultLimits, type FileTree, utf8 } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';
import { zfsDriver } from '../../src/formats/filesystems/zfs/zfs.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { findCorpus } from '../corpus.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { differencesOf, surveyTree, type CompareOptions } from './entry-facts.ts';
import { unpackFacts } from './guest-fill.ts';
import { differencesFromImageManifest } from './manifest.ts';
import { PoolTree } from './pool-tree.ts';
import { below, pick, type Random } from './random-name.ts';
import { posixProfile } from './random-tree.ts';
import { type DatasetJob, type PoolJob, zfsFiles } from './zfs-fill.ts';
import { makeZfsKit, runInZfsGuest } from './zfs-kit.ts';

const POOLS = Number(process.env['HOLDFAST_IMAGES'] ?? 42);
const BATCH = 7;
const GUEST_TIMEOUT_MS = 5_400_000;
const PASSPHRASE = 'lab-passphrase';
const HEX_KEY = '00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef';

/** Devices of a pool, how many members there are, and how many may be missing. */
const layouts: readonly (readonly [devices: string, members: number, spare: number])[] = [
  ['m0', 1, 0], ['m0 m1', 2, 0], ['mirror m0 m1', 2, 1], ['mirror m0 m1 m2', 3, 2], ['raidz1 m0 m1 m2', 3, 1], ['raidz2 m0 m1 m2 m3', 4, 2], ['raidz3 m0 m1 m2 m3 m4', 5, 3],
  ['raidz1 m0 m1', 2, 1], ['raidz1 m0 m1 m2 m3 m4', 5, 1], ['raidz2 m0 m1 m2 m3 m4', 5, 2], ['mirror m0 m1 mirror m2 m3', 4, 1], ['m0 special m1', 2, 0], ['m0 log m1', 2, 0],
];

function choosePool(i: number, random: Random): PoolJob & { readonly missing: readonly number[] } {
  const after = i % 7 === 5 ? 'remove' : i % 4 === 3 ? 'crash' : 'export';
  const [devices, members, spare] = after === 'remove' ? (['m0 m1', 2, 0] as const) : pick(random, layouts);
  const old = i % 9 === 7 && after === 'export';
  const options = [
    '-o', `ashift=${pick(random, [9, 9, 12, 12, 13])}`, ...(old ? ['-o', `version=${pick(random, [28, 23, 15])}`] : []),
    '-O', `compression=${pick(random, old ? ['off', 'lzjb', 'gzip-6'] : ['off', 'lz4', 'lzjb', 'gzip-1', 'gzip-9', 'zle', 'zstd', 'zstd-19', 'zstd-fast'])}`,
    '-O', `checksum=${pick(random, old ? ['on', 'fletcher2', 'sha256'] : ['on', 'fletcher2', 'fletcher4', 'sha256', 'sha512', 'skein'])}`,
    '-O', `recordsize=${pick(random, old ? ['512', '8K', '128K'] : ['512', '4K', '16K', '128K', '128K', '1M'])}`,
    '-O', `xattr=${pick(random, old ? ['on'] : ['on', 'sa'])}`, '-O', 'acltype=posix',
    ...(old ? [] : ['-O', `dnodesize=${pick(random, ['legacy', 'legacy', 'auto', '1k', '16k'])}`]),
    ...(below(random, 5) === 0 ? ['-O', 'copies=2'] : []), ...(below(random, 6) === 0 ? ['-O', 'dedup=on'] : []),
  ];
  const seed = Math.floor(random() * 2 ** 31);
  const missing = spare === 0 ? [] : Array.from({ length: members }, (_, member) => member).filter(() => below(random, 2) === 0).slice(0, spare);
  return {
    name: `lab${i}`, members, memberBytes: after === 'remove' ? 512 << 20 : 160 << 20, options, devices: devices.split(' '), datasets: chooseDatasets(random, old), tunables: below(random, 4) === 0 ? { metaslab_force_ganging: '1500' } : {},
    after, seed, missing, profile: { ...posixProfile, steps: 60, contentBytes: 4 << 20, bigDirectoryEntries: pick(random, [0, 0, 300, 1500]), ...(old ? { times: { from: 0, to: 0x7fff_ffff, unitNanoseconds: 1 } } : {}) },
  };
}

function chooseDatasets(random: Random, old: boolean): readonly DatasetJob[] {
  if (old) return [{ name: 'plain', properties: below(random, 2) === 0 ? [] : [`version=${pick(random, [3, 4])}`] }];
  const plain: DatasetJob = { name: 'plain', properties: pick(random, [[], ['casesensitivity=mixed'], ['utf8only=off', 'redundant_metadata=most'], ['recordsize=1M', 'compression=zstd-3']]) };
  const suite = pick(random, ['aes-128-ccm', 'aes-192-ccm', 'aes-256-ccm', 'aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm']);
  const hex = below(random, 3) === 0;
  const sealed: DatasetJob = { name: 'sealed', properties: [`encryption=${suite}`, `keyformat=${hex ? 'hex' : 'passphrase'}`, 'keylocation=prompt', ...(hex ? [] : ['pbkdf2iters=100000'])], key: hex ? HEX_KEY : PASSPHRASE };
  return below(random, 3) === 0 ? [plain] : [plain, sealed];
}

/** While it replays a log, the kernel takes times from its clock. */
const compareOptions = (after: PoolJob['after']): CompareOptions => ({ omit: after === 'crash' ? ['accessed', 'modified', 'changed'] : ['accessed'] });

async function openTree(root: Filesystem, name: string): Promise<FileTree> {
  const opened = name === root.facts.label ? root : await root.openVolume?.(name.includes('@') ? 'snapshot' : 'dataset', name);
  if (opened === undefined) throw new Error(`no volumes in ${root.facts.version}`);
  return opened;
}

/** Differences of all trees of one pool. */
async function differencesIn(work: string, { name, members, missing, datasets, after }: ReturnType<typeof choosePool>): Promise<{ readonly lines: readonly string[]; readonly entries: number; readonly remarks: readonly string[] }> {
  const files = Array.from({ length: members }, (_, i) => i).filter((i) => !missing.includes(i)).map((i) => path.join(work, zfsFiles.member(name, i)));
  const filesystem = await zfsDriver.open(await Promise.all(files.map((file) => fileSource(file))), { limits: defaultLimits, keys: [utf8('wrong passphrase'), utf8(PASSPHRASE), utf8(HEX_KEY)] });
  try {
    const facts = JSON.parse(readFileSync(path.join(work, zfsFiles.facts(name)), 'utf8')) as Record<string, string>;
    const lines: string[] = [];
    let entries = 0;
    for (const [tree, text] of Object.entries(facts)) {
      const expected = unpackFacts(text);
      entries += expected.size;
      const options: CompareOptions = { ...compareOptions(after), ...(tree === name ? { ignore: (place) => datasets.some((dataset) => dataset.name === place) } : {}) };
      lines.push(...differencesOf(await surveyTree(await openTree(filesystem, tree), options, false), expected, options).map((line) => `${tree} ${line}`));
    }
    return { lines: [...lines, ...filesystem.problems().map(({ message, where }) => `problem: ${where}: ${message}`)], entries, remarks: filesystem.facts.remarks };
  } finally {
    await filesystem.close();
  }
}

async function checkCorpus(checks: Checks): Promise<void> {
  const corpus = findCorpus();
  if (!('folder' in corpus)) return checks.skip(`images of the corpus: ${corpus.reason}`);
  const folder = path.join(path.dirname(corpus.folder), 'images-public', 'layers');
  for (const [name, ...members] of [['zfs-single', 1], ['zfs-mirror', 1, 2], ['zfs-mirror', 1], ['zfs-mirror', 2], ['zfs-raidz1', 1, 2, 3], ['zfs-raidz1', 2, 3], ['zfs-raidz1', 3, 1], ['zfs-raidz1', 1, 2]] as const) {
    const sources = await Promise.all(members.map((member) => fileSource(path.join(folder, `${name}-${member}.raw`))));
    // Its encrypted dataset was not mounted when the manifest was written.
    const tree = await PoolTree.open(await zfsDriver.open(sources, { limits: defaultLimits, keys: [utf8(PASSPHRASE)] }), ['labpool/enc']);
    // The manifest takes equal inodes of several datasets for one.
    const found = await differencesFromImageManifest(tree, path.join(folder, `${name}.manifest.jsonl`), { omit: ['first name'] }).finally(() => tree.close());
    checks.expect(`${name} of the corpus, members ${members.join(', ')}`, found.length === 0, found.slice(0, 5).join('; '));
  }
}

async function checkBatch(jobs: readonly ReturnType<typeof choosePool>[], work: string, checks: Checks): Promise<void> {
  for (const job of jobs) {
    const how = `${job.name}: ${job.devices.join(' ')}, ${job.options.join(' ')}, ${job.datasets.map(({ properties }) => properties.join(' ')).join(' | ')}, ${job.after}${Object.keys(job.tunables).join(' ')}${job.missing.length === 0 ? '' : `, without ${job.missing.join(' ')}`}`;
    try {
      const { lines, entries, remarks } = await differencesIn(work, job);
      checks.expect(`${how} (${entries} entries) ${remarks.join('; ')}`, lines.length === 0, `${lines.length} differences: ${lines.slice(0, 5).join('; ')}`);
    } catch (error) {
      checks.expect(how, false, error instanceof Error ? error.stack ?? error.message : String(error));
    }
  }
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  await checkCorpus(checks);
  const random = seededRandom(context.seed);
  const kit = await makeZfsKit(path.join(context.workDirectory, 'kit'));
  for (let from = 0; from < POOLS; from += BATCH) {
    const work = path.join(context.workDirectory, `batch-${from}`);
    mkdirSync(work);
    const jobs = Array.from({ length: Math.min(BATCH, POOLS - from) }, (_, i) => choosePool(from + i, random));
    writeFileSync(path.join(work, zfsFiles.jobs), JSON.stringify({ kit, jobs }));
    const log = await runInZfsGuest(kit, work, fileURLToPath(new URL('./zfs-fill.js', import.meta.url)), GUEST_TIMEOUT_MS);
    checks.expect(`the guest filled pools ${from} to ${from + jobs.length - 1}`, log.includes(zfsFiles.done) && !log.includes('failed '), log.slice(-3000));
    await checkBatch(jobs.filter(({ name }) => log.includes(`filled ${name}\n`)), work, checks);
    rmSync(work, { recursive: true, force: true });
  }
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'fs-zfs', needs: ['root', 'debootstrap', 'qemu-system-x86_64', 'busybox', 'cpio'], quick: false, run };
