/** Disk images against qemu-img: images with random options, content and writes, chains of them, and those of the corpus. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../src/core/testing/random.ts';
import { Checks } from './checks.ts';
import { differenceFrom, openIn } from './images/compare.ts';
import { checkContainers, checkDamaged, imagesFolder } from './images/corpus.ts';
import { imageKinds, makeChain, makeImage, makeRaw, type RandomImage } from './images/random-image.ts';
import { toRaw } from './images/tools.ts';
import { checkVhdxLog } from './images/vhdx-log.ts';
import { checkWriters } from './images/writers.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

/** Images of each kind; with chains, about a minute. */
const ROUNDS = 4;

async function checkImage(directory: string, image: RandomImage, random: () => number, checks: Checks): Promise<void> {
  const raw = path.join(directory, 'expected.raw');
  toRaw(directory, image.file, image.format, raw);
  let difference: string | undefined;
  try {
    // A fixed VHD is known by its end only, which QEMU does not look at: all are opened by their magic number here.
    const opened = await openIn(directory, image.file);
    difference = await differenceFrom(opened, raw, random);
    await opened.close();
  } catch (error) {
    difference = String(error);
  }
  checks.expect(image.how, difference === undefined, difference ?? '');
}

async function run({ seed, workDirectory, log }: ScenarioContext): Promise<Checks['tally']> {
  const checks = new Checks({ log });
  const random = seededRandom(seed);
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round % 2 === 0) {
      makeRaw(workDirectory, 'disk.raw', random);
      await checkWriters(workDirectory, 'disk.raw', checks);
      await checkVhdxLog(workDirectory, 'disk.raw', random, checks);
    }
    for (const kind of imageKinds) {
      makeRaw(workDirectory, 'disk.raw', random);
      const image = makeImage(workDirectory, { raw: 'disk.raw', image: `i${round}.${kind.startsWith('vmdk') ? 'vmdk' : 'img'}` }, kind, random);
      await checkImage(workDirectory, image, random, checks);
      if (round % 2 === 1 && !kind.startsWith('qcow2 data')) await checkImage(workDirectory, makeChain(workDirectory, image, 1 + Math.floor(random() * 4), random), random, checks);
      for (const name of readdirSync(workDirectory)) rmSync(path.join(workDirectory, name));
    }
  }
  const images = imagesFolder();
  if (images === undefined) checks.skip('containers and damaged images of the corpus: it has no images-public');
  else {
    await checkContainers(path.join(images, 'containers'), workDirectory, checks);
    await checkDamaged(path.join(images, 'corrupt'), checks);
  }
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'images-qemu', needs: ['qemu-img', 'qemu-io'], quick: true, run };
