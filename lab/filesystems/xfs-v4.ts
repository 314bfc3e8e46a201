/** XFS version 4, which only older kernels mount: images grown in a guest, compared with what its kernel shows, after recovery where the power was cut. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

function chooseOld(random: Random): readonly string[] {
  const block = pick(random, [512, 1024, 2048, 4096, 4096]);
  const inode = pick(random, [256, 256, 512, 1024].filter((bytes) => bytes <= block / 2));
  const nameBlock = pick(random, [4096, 8192, 65_536]);
  return [
    '-m', 'crc=0', '-b', `size=${block}`, '-i', `size=${inode},attr=${pick(random, [1, 2])},projid32bit=${below(random, 2)}`, '-n', `size=${nameBlock},ftype=${below(random, 2)}`,
    '-l', `size=20m,version=${pick(random, [1, 2, 2])},lazy-count=${below(random, 2)}`, '-d', `agcount=${pick(random, [2, 4])}`,
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

/** Makes, fills and compares `count` images. */
export async function checkOldImages({ work, count, environment, open }: OldImages, random: Random, checks: Checks): Promise<void> {
  const folder = path.join(work, 'v4');
  mkdirSync(folder);
  const guest = await makeKernelGuest(path.join(work, 'guest'), MODULES);
  const how = new Map<string, string>();
  const jobs: XfsGuestJob[] = [];
  for (let i = 0; i < count; i += 1) {
    const image = `v4-${i}.img`;
    const mkfs = chooseOld(random);
    const cut = i % 2 === 1;
    makeImage(path.join(folder, image), 80 * MIB, ['env', ...environment, 'mkfs.xfs', '-q', '-f', ...mkfs]);
    how.set(image, `${image}: ${mkfs.join(' ')}${cut ? ', power cut' : ''}`);
    const profile = { ...posixProfile, steps: 150, bigDirectoryEntries: pick(random, [100, 600]), attributeBytesMax: pick(random, [200, 60_000]), contentBytes: 2 * MIB, deviceMax: { major: 511, minor: 0x3_ffff } };
    jobs.push({ image, request: { seed: below(random, 2 ** 32), profile, blockBytes: 4096, reflink: false, extents: pick(random, [0, 250]), churn: 0 }, cut });
  }
  writeFileSync(path.join(folder, xfsGuestFiles.jobs), JSON.stringify(jobs));
  const log = await runInGuest(guest, folder, fileURLToPath(new URL('./xfs-guest.js', import.meta.url)), { timeoutMs: GUEST_TIMEOUT_MS });
  checks.expect(`the guest filled ${count} images of version 4`, log.includes(xfsGuestFiles.done) && !log.includes('failed '), log.slice(-2000));
  for (const { image } of jobs) {
    try {
      const expected = unpackFacts(readFileSync(path.join(folder, xfsGuestFiles.facts(image)), 'utf8'));
      const differences = await open(path.join(folder, xfsGuestFiles.bare(image)), async (filesystem) => (
        [...differencesOf(await surveyTree(filesystem, {}, false), expected, {}), ...filesystem.problems().map(({ message }) => `problem: ${message}`)]
      ));
      checks.expect(`${how.get(image)} (${expected.size} entries)`, differences.length === 0, `${differences.length} differences: ${differences.slice(0, 5).join('; ')}`);
    } catch (error) {
      checks.expect(how.get(image) ?? image, false, String(error));
    }
  }
  if (process.env['HOLDFAST_LAB_KEEP'] !== '1') rmSync(folder, { recursive: true, force: true });
}
