/**
 * Every volume of the corpus, good and damaged, on a shelf: committed, read back byte for byte from the repository and through a location, and once more under another name,
 * which must add at most a hundredth of its bytes.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readRange } from '../src/core/index.ts';
import { openLocation } from '../src/services/locations/index.ts';
import { createRepository } from '../src/services/repositories.ts';
import { VolumeShelf, openStoredVolume } from '../src/services/volumes/index.ts';
import { Checks } from './checks.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

/** Bytes written at once, as a storage daemon does. */
const WRITE_BYTES = 64_512;

/** Volumes by a name of their own. */
function volumesOf(corpus: string): readonly (readonly [string, string])[] {
  const files = readdirSync(corpus, { recursive: true }).map(String).filter((name) => path.basename(path.dirname(name)) === 'volumes').sort();
  return files.map((file) => [file.replaceAll('/', '.'), path.join(corpus, file)]);
}

async function run(context: ScenarioContext): Promise<Tally> {
  const { corpus = '', workDirectory } = context;
  const log = (text: string): void => { context.log(text); };
  const checks = new Checks(context);
  const place = path.join(workDirectory, 'repository');
  const repository = await createRepository(place);
  const shelf = await VolumeShelf.open(repository, { spool: path.join(workDirectory, 'spool'), note: log });
  const volumes = volumesOf(corpus);
  checks.expect('volumes in the corpus', volumes.length >= 60, `${volumes.length}`);
  const store = async (name: string, bytes: Uint8Array): Promise<void> => {
    const volume = await shelf.open(name, { create: true });
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) await volume.write(at, bytes.subarray(at, at + WRITE_BYTES));
    await volume.commit();
    await volume.close();
    const stored = await openStoredVolume(repository, name);
    checks.expect(`${name} comes back`, Buffer.compare(await readRange(stored, 0, stored.size), bytes) === 0, 'other bytes');
    await stored.close();
  };
  let total = 0;
  for (const suffix of ['', '.again']) {
    const before = (await repository.statistics()).bytesStored;
    for (const [name, file] of volumes) {
      const bytes = readFileSync(file);
      await store(`${name}${suffix}`, bytes);
      if (suffix === '') total += bytes.length;
    }
    const grown = (await repository.statistics()).bytesStored - before;
    log(`${volumes.length} volumes of ${total} bytes${suffix === '' ? '' : ' once more'}: ${grown} bytes stored`);
    if (suffix !== '') checks.expect('once more adds at most a hundredth', grown <= total / 100, `${grown} of ${total} bytes`);
  }
  await shelf.close();
  for (const snapshot of await repository.snapshots()) {
    const name = snapshot.sources[0]?.slice('volume:'.length) ?? '';
    const file = volumes.find(([known]) => known === name)?.[1];
    if (file === undefined) continue;
    const location = await openLocation(`${place}::${snapshot.id}::/${name}`);
    const { tree, id } = await location.node();
    const source = await tree.open(id);
    checks.expect(`${name} through its location`, Buffer.compare(await readRange(source, 0, source.size), readFileSync(file)) === 0, 'other bytes');
    await source.close();
    await location.close();
  }
  await repository.close();
  return checks.tally;
}

/** See the header. */
export const volumeShelf: Scenario = { name: 'volume-shelf', needs: ['corpus'], quick: true, run };
