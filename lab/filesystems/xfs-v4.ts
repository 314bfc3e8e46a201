/** XFS version 4, which only older kernels mount: images grown in a guest, compared with what its kernel shows, after recovery where the power was cut or the log is torn. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';
import type { Checks } from '../checks.ts';
import { differencesOf, surveyTree } from './entry-facts.ts';
import { unpackFacts } from './guest-fill.ts';
import { makeKernelGuest, runInGuest } from './kernel-guest.ts';
import { makeImage } from './loop-image.ts';
import { below, pick, type Random } from './random-name.ts';
import { posixProfile } from './tree-profile.ts';
import { type XfsGuestJob, xfsGuestFiles } from './xfs-guest.ts';

const MODULES = ['crc32c_generic', 'libcrc32c', 'xfs'];
const GUEST_TIMEOUT_MS = 3_000_000;
const MIB = 1 << 20;
const IMAGE_BYTES = 80 * MIB;

function chooseOld(random: Random): readonly string[] {
  const block = pick(random, [512, 1024, 2048, 4096, 4096]);
  const inode = pick(random, [256, 256, 512, 1024].filter((bytes) => bytes <= block / 2));
  const nameBlock = pick(random, [4096, 8192, 65_536]);
  // A small log comes around its end; large directory blocks need a large one, which only large groups have room for.
  const [logMib, groups] = nameBlock > 8192 ? [20, 2] : [pick(random, [5, 5, 10]), pick(random, [2, 4])];
  return [
    '-m', 'crc=0', '-b', `size=${block}`, '-i', `size=${inode},attr=${pick(random, [1, 2])},projid32bit=${below(random, 2)}`, '-n', `size=${nameBlock},ftype=${below(random, 2)}`,
    '-l', `size=${logMib}m,version=${pick(random, [1, 2, 2])},lazy-count=${below(random, 2)}`, '-d', `agcount=${groups}`,
  ];
}

/** What the v5 scenario shares. */
export interface OldImages {
  readonly work: string;
  readonly count: number;
  /** With which mkfs.xfs makes small filesystems. */
  readonly environment: readonly string[];
  open<T>(file: string, work: (filesystem: Filesystem) => Promise<T>): Promise<T>;
}

function chooseCut(i: number, random: Random): XfsGuestJob['cut'] {
  if (i % 4 === 0) return undefined;
  return { amidMs: i % 4 === 1 ? undefined : 2000 + below(random, 25_000), flushLog: below(random, 2) === 0, torn: 2 };
}

function chooseJob(i: number, random: Random): XfsGuestJob {
  const cut = chooseCut(i, random);
  const profile = { ...posixProfile, steps: 150, bigDirectoryEntries: pick(random, [100, 600]), attributeBytesMax: pick(random, [200, 60_000]), contentBytes: 2 * MIB, deviceMax: { major: 511, minor: 0x3_ffff } };
  return { image: `v4-${i}.img`, request: { seed: below(random, 2 ** 32), profile, blockBytes: 4096, reflink: false, extents: pick(random, [0, 250]), churn: cut === undefined ? 0 : pick(random, [0, 3000]) }, cut };
}

/** Compares an image with what the guest's kernel showed of it. */
async function checkOne(folder: string, { image, what }: { readonly image: string; readonly what: string }, { open, checks }: Pick<OldImages, 'open'> & { readonly checks: Checks }): Promise<void> {
  const refusal = path.join(folder, xfsGuestFiles.refusal(image));
  if (existsSync(refusal)) return checks.skip(`${what}: the kernel refuses it (${readFileSync(refusal, 'utf8').slice(0, 100)})`);
  try {
    const expected = unpackFacts(readFileSync(path.join(folder, xfsGuestFiles.facts(image)), 'utf8'));
    const { differences, remarks } = await open(path.join(folder, image), async (filesystem) => ({
      differences: [...differencesOf(await surveyTree(filesystem, {}, false), expected, {}), ...filesystem.problems().map(({ message }) => `problem: ${message}`)], remarks: filesystem.facts.remarks.join('; '),
    }));
    checks.expect(`${what} (${expected.size} entries) ${remarks}`, differences.length === 0, `${differences.length} differences: ${differences.slice(0, 5).join('; ')}`);
  } catch (error) {
    checks.expect(what, false, String(error));
  }
}

/** Makes, fills and compares `count` images. */
export async function checkOldImages({ work, count, environment, open }: OldImages, random: Random, checks: Checks): Promise<void> {
  const folder = path.join(work, 'v4');
  mkdirSync(folder);
  const guest = await makeKernelGuest(path.join(work, 'guest'), MODULES);
  const how = new Map<string, string>();
  const jobs: XfsGuestJob[] = [];
  for (let i = 0; i < count; i += 1) {
    const mkfs = chooseOld(random);
    const job = chooseJob(i, random);
    makeImage(path.join(folder, job.image), IMAGE_BYTES, ['env', ...environment, 'mkfs.xfs', '-q', '-f', ...mkfs]);
    how.set(job.image, `${job.image}: ${mkfs.join(' ')}${job.cut === undefined ? '' : `, power cut ${job.cut.amidMs ?? 'at the end'}${job.cut.flushLog ? ', flushed' : ''}`}`);
    jobs.push(job);
  }
  writeFileSync(path.join(folder, xfsGuestFiles.jobs), JSON.stringify(jobs));
  const log = await runInGuest(guest, folder, fileURLToPath(new URL('./xfs-guest.js', import.meta.url)), { timeoutMs: GUEST_TIMEOUT_MS });
  checks.expect(`the guest filled ${count} images of version 4`, log.includes(xfsGuestFiles.done) && !log.includes('failed '), log.slice(-2000));
  for (const { image, cut } of jobs) {
    await checkOne(folder, { image, what: how.get(image) ?? image }, { open, checks });
    for (let i = 0; i < (cut?.torn ?? 0); i += 1) {
      const torn = xfsGuestFiles.torn(image, i);
      const damage = path.join(folder, xfsGuestFiles.how(torn));
      if (existsSync(damage)) await checkOne(folder, { image: torn, what: `${image} with a torn log: ${readFileSync(damage, 'utf8')}` }, { open, checks });
    }
  }
  if (process.env['HOLDFAST_LAB_KEEP'] !== '1') rmSync(folder, { recursive: true, force: true });
}
