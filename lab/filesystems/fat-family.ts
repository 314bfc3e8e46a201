/** FAT and exFAT: images with random choices of mkfs, filled by Linux's drivers in a guest, and every name, fact and byte compared with what those drivers show. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultLimits } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import type { FilesystemDriver } from '../../src/formats/filesystems/filesystem.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { findCorpus } from '../corpus.ts';
import type { ScenarioContext, Tally } from '../scenario.ts';
import { differencesOf, surveyTree, type CompareOptions } from './entry-facts.ts';
import { fillFiles, unpackFacts, type FillJob } from './guest-fill.ts';
import { makeKernelGuest, runInGuest } from './kernel-guest.ts';
import { makeFile, makeImage } from './loop-image.ts';
import { differencesFromImageManifest } from './manifest.ts';
import type { TreeProfile } from './tree-profile.ts';

/** What an image is made with. */
export interface ImageChoice {
  readonly bytes: number;
  /** Program and parameters; the file or device is appended. */
  readonly mkfs: readonly string[];
  /** Of the device; other than 512, `mkfs` runs in the guest. */
  readonly sectorBytes: number;
  readonly profile: TreeProfile;
}

/** What the two families do not share. */
export interface Family {
  readonly driver: FilesystemDriver;
  /** For `mount -t` and `-o`. */
  readonly type: string;
  readonly options: string;
  readonly compare: CompareOptions;
  /** The choice for image number `i`; the same for the same random numbers. */
  choose(i: number, random: () => number): ImageChoice;
  /** Images of the corpus with a manifest. */
  readonly corpus: readonly string[];
  /** Damaged images of the corpus, and what the error of each must name; without it, all that can be read is. */
  readonly damaged: Readonly<Record<string, string>>;
  /** Whether the root directory has a time; false: the kernel shows one of its own. */
  readonly rootTime?: boolean;
}

const IMAGES = Number(process.env['HOLDFAST_IMAGES'] ?? 44);
const MODULES = ['nls_cp437', 'nls_ascii', 'nls_utf8', 'nls_iso8859-1', 'fat', 'vfat', 'exfat'];
const GUEST_TIMEOUT_MS = 3_600_000;
/** Images of one guest: what they hold is on the disk at the same time. */
const BATCH = 22;

async function differencesIn(file: string, family: Family, compare: (tree: Awaited<ReturnType<FilesystemDriver['open']>>) => Promise<readonly string[]>): Promise<readonly string[]> {
  const filesystem = await family.driver.open([await fileSource(file)], { limits: defaultLimits });
  try {
    const differences = (await compare(filesystem)).filter((line) => family.rootTime !== false || !line.startsWith('".": modified '));
    return [...differences, ...filesystem.problems().map(({ message }) => `problem: ${message}`)];
  } finally {
    await filesystem.close();
  }
}

async function checkBatch(family: Family, { jobs, work, how }: { readonly jobs: readonly FillJob[]; readonly work: string; readonly how: ReadonlyMap<string, string> }, checks: Checks): Promise<void> {
  for (const { image } of jobs) {
    const file = path.join(work, image);
    let found: readonly string[];
    try {
      const expected = unpackFacts(readFileSync(path.join(work, fillFiles.facts(image)), 'utf8'));
      found = await differencesIn(file, family, async (tree) => differencesOf(await surveyTree(tree, family.compare, false), expected, family.compare));
      checks.expect(`${how.get(image)} (${expected.size} entries)`, found.length === 0, `${found.length} differences: ${found.slice(0, 5).join('; ')}`);
    } catch (error) {
      checks.expect(how.get(image) ?? image, false, String(error));
    }
    rmSync(file, { force: true });
  }
}

async function checkCorpus(family: Family, checks: Checks): Promise<void> {
  const corpus = findCorpus();
  if (!('folder' in corpus)) {
    checks.skip(`images of the corpus: ${corpus.reason}`);
    return;
  }
  const folder = path.join(path.dirname(corpus.folder), 'images-public');
  await checkDamaged(family, path.join(folder, 'corrupt'), checks);
  for (const name of family.corpus) {
    const found = await differencesIn(path.join(folder, `${name}.raw`), family, (tree) => differencesFromImageManifest(tree, path.join(folder, `${name}.manifest.jsonl`), family.compare));
    checks.expect(`${name} of the corpus`, found.length === 0, `${found.length} differences: ${found.slice(0, 5).join('; ')}`);
  }
}

/** Opens or reads each damaged image: some error names the field. */
async function checkDamaged(family: Family, folder: string, checks: Checks): Promise<void> {
  for (const [name, field] of Object.entries(family.damaged)) {
    let found: string;
    try {
      const filesystem = await family.driver.open([await fileSource(path.join(folder, `${name}.raw`))], { limits: defaultLimits });
      const facts = await surveyTree(filesystem, family.compare, false);
      found = [...facts.values()].map((entry) => entry.get('readable') ?? '').join(' ');
      await filesystem.close();
    } catch (error) {
      found = String(error);
    }
    checks.expect(`${name} of the corpus names '${field}'`, found.includes('FormatError') && found.includes(field), found.slice(0, 500));
  }
}

/** The whole scenario. */
export async function runFamily(family: Family, context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  await checkCorpus(family, checks);
  const random = seededRandom(context.seed);
  const guest = await makeKernelGuest(path.join(context.workDirectory, 'guest'), MODULES);
  for (let from = 0; from < IMAGES; from += BATCH) {
    const work = path.join(context.workDirectory, `batch-${from}`);
    mkdirSync(work);
    const how = new Map<string, string>();
    const jobs: FillJob[] = [];
    for (let i = from; i < Math.min(IMAGES, from + BATCH); i += 1) {
      const image = `${i}.img`;
      const { bytes, mkfs, profile, sectorBytes } = family.choose(i, random);
      if (sectorBytes === 512) makeImage(path.join(work, image), bytes, mkfs);
      else makeFile(path.join(work, image), bytes);
      how.set(image, `${image}: ${mkfs.join(' ')}, ${bytes} bytes, sectors of ${sectorBytes}`);
      jobs.push({ image, type: family.type, options: family.options, sectorBytes, ...(sectorBytes === 512 ? {} : { mkfs }), seed: Math.floor(random() * 2 ** 32), profile, compare: { omit: family.compare.omit ?? [], timestampNanoseconds: family.compare.timestampNanoseconds ?? 1 } });
    }
    writeFileSync(path.join(work, fillFiles.jobs), JSON.stringify(jobs));
    const log = await runInGuest(guest, work, fileURLToPath(new URL('./guest-fill.js', import.meta.url)), { timeoutMs: GUEST_TIMEOUT_MS });
    checks.expect(`the guest filled images ${from} to ${from + jobs.length - 1}`, log.includes(fillFiles.done) && !log.includes('failed '), log.slice(-2000));
    await checkBatch(family, { jobs, work, how }, checks);
    rmSync(work, { recursive: true, force: true });
  }
  return checks.tally;
}
