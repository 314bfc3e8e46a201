/**
 * ext2, ext3 and ext4 with random options and trees, after a power cut, and copied with fast commits in the journal, against the kernel; some that it
 * cannot mount, against what mke2fs was given.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { defaultLimits } from '../../src/core/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import { extDriver } from '../../src/formats/filesystems/ext/ext.ts';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { Checks } from '../checks.ts';
import { runTool } from '../images/tools.ts';
import type { Scenario, ScenarioContext } from '../scenario.ts';
import { compareWithMount, type CompareOptions } from './differential.ts';
import { surveyTree } from './entry-facts.ts';
import { checkFastImage } from './ext-fast.ts';
import { filledRecipes, randomRecipe, type ExtRecipe } from './ext-recipe.ts';
import { cutPower, makeImage, withMount } from './loop-image.ts';
import { below, type Random } from './random-name.ts';
import { growTree, posixProfile } from './random-tree.ts';

const IMAGES = 48;
/** Of those, every third is left by a power cut. */
const CUT_EVERY = 3;
/** Images with fast commits; of those, every third is read once more with a torn log. */
const FAST_IMAGES = 18;
const TORN_EVERY = 3;

async function openImage(file: string, journal: 'replay' | 'ignore' = 'replay'): Promise<Filesystem> {
  const source = await fileSource(file);
  try {
    return await extDriver.open([source], { limits: defaultLimits, journal });
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Differences of the image with what is mounted at `directory`; damage that was met counts as well. */
async function differences(image: string, directory: string, options: CompareOptions): Promise<readonly string[]> {
  const tree = await openImage(image);
  try {
    const found = await compareWithMount(tree, directory, options);
    return [...found, ...tree.problems().map(({ kind, where, message }) => `${kind}, ${where}: ${message}`)];
  } finally {
    await tree.close();
  }
}

function report(checks: Checks, what: string, found: readonly string[]): void {
  checks.expect(what, found.length === 0, `${found.length} differences: ${found.slice(0, 5).join('; ')}`);
}

async function fill(image: string, mount: string, recipe: ExtRecipe, random: Random): Promise<void> {
  const seed = below(random, 2 ** 32);
  await withMount(image, mount, { write: true, type: 'ext4', options: recipe.mountOptions || 'relatime' }, (directory) => {
    growTree(directory, seed, recipe.profile);
  });
}

/** More of a tree, of which some is on the disk, some in the journal, and some nowhere when the power goes; the image as it is then goes to `cut`. */
async function fillAndCut([image, cut]: readonly [string, string], mount: string, recipe: ExtRecipe, random: Random): Promise<void> {
  const [seed, flushLog] = [below(random, 2 ** 32), random() < 0.5];
  await withMount(image, mount, { write: true, type: 'ext4', options: recipe.mountOptions || 'relatime' }, (directory) => {
    for (const name of ['first', 'second']) {
      mkdirSync(path.join(directory, name));
      growTree(path.join(directory, name), seed + name.length, { ...recipe.profile, steps: 120 });
    }
    rmSync(path.join(directory, 'first'), { recursive: true });
    cutPower(directory, flushLog);
    // Unmounting writes what is in memory all the same.
    copyFileSync(image, cut);
  });
}

/** @returns whether the image was left by a power cut and is another one without its journal. */
async function checkImage(folder: string, number: number, random: Random, checks: Checks): Promise<boolean> {
  const cut = number % CUT_EVERY === CUT_EVERY - 1;
  const recipe = randomRecipe(random, cut);
  let image = path.join(folder, 'ext.img');
  const mount = path.join(folder, 'mount');
  const what = `image ${number}${cut ? ', after a power cut' : ''}: mke2fs ${recipe.parameters.join(' ')}${recipe.hash === '' ? '' : `, hash ${recipe.hash}`}${recipe.mountOptions === '' ? '' : `, mount -o ${recipe.mountOptions}`}`;
  try {
    makeImage(image, recipe.imageBytes, ['mke2fs', ...recipe.parameters]);
    if (recipe.hash !== '') runTool(folder, 'tune2fs', ['-E', `hash_alg=${recipe.hash}`, image]);
    await fill(image, mount, recipe, random);
    let seen = image;
    if (cut) {
      const after = path.join(folder, 'cut.img');
      await fillAndCut([image, after], mount, recipe, random);
      image = after;
      seen = path.join(folder, 'replayed.img');
      copyFileSync(image, seen);
      // The kernel replays the journal into the copy.
      await withMount(seen, mount, { write: true, type: 'ext4', options: 'noatime' }, () => undefined);
    }
    const found = await withMount(seen, mount, { type: 'ext4' }, (directory) => differences(image, directory, {}));
    report(checks, what, found);
    return cut && await needsJournal(image);
  } catch (error) {
    checks.expect(what, false, String(error));
    return false;
  }
}

/** Whether the names in an image are others without its journal, or cannot be read. */
async function needsJournal(image: string): Promise<boolean> {
  const names: string[] = [];
  for (const journal of ['replay', 'ignore'] as const) {
    const tree = await openImage(image, journal);
    try {
      names.push(JSON.stringify([...await surveyTree(tree, { omit: ['content'] }, false)].map(([name, facts]) => [name, facts.get('size')])));
    } finally {
      await tree.close();
    }
  }
  return names[0] !== names[1];
}

/** What mke2fs does not copy, or copies otherwise than it is. */
const filledOptions: CompareOptions = { omit: ['inode', 'changed', 'created', 'accessed', 'directory links'], timestampNanoseconds: 1e9, ignore: (name) => name === 'lost+found' };

async function checkFilled(folder: string, parameters: readonly string[], random: Random, checks: Checks): Promise<void> {
  const [image, origin] = [path.join(folder, 'ext.img'), path.join(folder, 'origin')];
  const what = `filled by mke2fs ${parameters.join(' ')}`;
  try {
    mkdirSync(origin);
    // With inline data, mke2fs 1.47 cuts a hole at the end of a file off.
    const whole = parameters.some((part) => part.includes('inline_data')) ? { sparseBytesMax: 0, preallocation: false } : {};
    growTree(origin, below(random, 2 ** 32), { ...posixProfile, ...whole, specials: false, hardLinks: false, acls: false, privilegedAttributes: false, attributeBytesMax: 200, times: { from: 0, to: 0x7fff_ffff, unitNanoseconds: 1e9 } });
    makeImage(image, 192 << 20, ['mke2fs', '-q', '-F', '-d', origin, ...parameters]);
    const found = await differences(image, origin, filledOptions);
    // The root changes once more, when lost+found is made.
    report(checks, what, found.filter((line) => !line.startsWith('".": modified')));
  } catch (error) {
    checks.expect(what, false, String(error));
  }
}

/** Images that are copied while they are mounted. */
async function checkFastCommits(folder: string, images: number, random: Random, checks: Checks): Promise<void> {
  let [replayed, losses] = [0, 0];
  for (let number = 0; number < images; number += 1) {
    const own = below(random, 2 ** 32);
    const place = path.join(folder, `fast-${number}`);
    try {
      const { what, differences: found, fastFacts, kernelLosses, torn } = await checkFastImage(place, seededRandom(own), number % TORN_EVERY === 0, openImage);
      report(checks, `image ${number} of random ${own}, ${what}`, found);
      if (torn !== undefined) report(checks, `the same, ${torn.what}`, torn.differences);
      if (fastFacts > 0) replayed += 1;
      losses += kernelLosses.length;
    } catch (error) {
      checks.expect(`image ${number} of random ${own} with fast commits`, false, String(error));
    }
    rmSync(place, { recursive: true, force: true });
  }
  checks.expect(`${replayed} of ${images} images have other facts without their fast commits; ${losses} facts are as at the last sync that the kernel's replay loses`, images === 0 || replayed * 2 > images, 'too few: replaying was not tested');
}

async function run({ seed, workDirectory, log }: ScenarioContext): Promise<Checks['tally']> {
  const checks = new Checks({ log });
  const random = seededRandom(seed);
  const images = Number(process.env['HOLDFAST_IMAGES'] ?? IMAGES);
  let journals = 0;
  for (let number = 0; number < images; number += 1) {
    const folder = path.join(workDirectory, String(number));
    mkdirSync(folder);
    // Each image has random numbers of its own, so that one can be made without those before it.
    if (await checkImage(folder, number, seededRandom(below(random, 2 ** 32)), checks)) journals += 1;
    rmSync(folder, { recursive: true });
  }
  if (images >= CUT_EVERY) checks.expect(`${journals} images after a power cut have other names or sizes without their journals`, journals > 0, 'none: replaying was not tested');
  await checkFastCommits(workDirectory, Math.min(images, FAST_IMAGES), seededRandom(below(random, 2 ** 32)), checks);
  for (const [i, parameters] of filledRecipes.entries()) {
    const folder = path.join(workDirectory, `filled-${i}`);
    mkdirSync(folder);
    await checkFilled(folder, parameters, random, checks);
    rmSync(folder, { recursive: true });
  }
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'fs-ext', needs: ['root', 'mke2fs', 'tune2fs', 'mount', 'fallocate', 'xfs_io'], quick: false, run };
