/** A volume whose spool is damaged is refused, whatever is wanted of it, and keeps everything; the other volumes of the shelf go on. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { IntegrityError, readRange } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { Repository, memoryWorld } from '../../engine/index.ts';
import type { ShelfRepository } from './repository.ts';
import { VolumeShelf } from './shelf.ts';
import { openStoredVolume } from './volume-report.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-quarantine-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });

function filesIn(directory: string): readonly (readonly [string, string])[] {
  return fs.readdirSync(directory).sort().map((name) => [name, fs.readFileSync(path.join(directory, name), 'hex')]);
}

/** Volumes A and B with two snapshots each, and more in the spool than that. */
async function filled(repository: Repository, spool: string, content: Uint8Array): Promise<void> {
  const { id } = repository;
  const store: ShelfRepository = { id, snapshots: () => repository.snapshots(), openSnapshot: (one) => repository.openSnapshot(one), backup: (tree, options) => repository.backup(tree, options) };
  const shelf = await VolumeShelf.open(store, { spool, host: 'h' });
  for (const name of ['A', 'B']) {
    const volume = await shelf.open(name, { create: true });
    for (const [from, to] of [[0, 20_000], [20_000, 40_000]] as const) {
      await volume.write(from, content.subarray(from, to));
      await volume.commit();
    }
    await volume.write(40_000, content.subarray(40_000));
    await volume.sync();
  }
  fs.cpSync(spool, `${spool}-crashed`, { recursive: true, filter: (source) => path.basename(source) !== 'lock' });
}

test('a damaged spool closes its own volume and no other', async () => {
  const [repository, spool, content] = [await Repository.create(memoryWorld(1), {}, { index: 'memory', workers: 0 }), path.join(root, 'spool'), seededBytes(60_000, 1)];
  await filled(repository, spool, content);
  const directory = path.join(`${spool}-crashed`, 'volume-A');
  const data = path.join(directory, fs.readdirSync(directory).find((name) => name.endsWith('.data') && fs.statSync(path.join(directory, name)).size > 0) ?? '');
  const sound = fs.readFileSync(data);
  fs.writeFileSync(data, sound.map((byte, at) => (at === 5000 ? byte ^ 1 : byte)));
  const before = filesIn(directory);
  const namesOf = async (): Promise<readonly string[]> => (await repository.snapshots()).map(({ sources }) => sources.join()).sort();
  const [volumeA = '', , volumeB = ''] = await namesOf();
  assert.deepEqual(await namesOf(), [volumeA, volumeA, volumeB, volumeB]);

  const notes: string[] = [];
  const shelf = await VolumeShelf.open(repository, { spool: `${spool}-crashed`, host: 'h', note: (text) => { notes.push(text); } });
  assert.ok(notes.some((text) => text.includes("volume 'A' is not served") && text.includes('damaged')), notes.join('; '));
  assert.deepEqual(await namesOf(), [volumeA, volumeA, volumeB], 'what the refused volume supersedes stays');
  assert.deepEqual(shelf.list().map(({ name, size }) => [name, size]), [['A', 40_000], ['B', 60_000]]);
  const attempts: readonly (() => Promise<unknown>)[] = [
    () => shelf.open('A'), () => shelf.open('A', { create: true }), () => shelf.remove('A'), () => shelf.rename('A', 'C'), () => shelf.rename('B', 'A'),
  ];
  for (const [i, attempt] of attempts.entries()) await assert.rejects(attempt(), IntegrityError, `attempt ${i}`);
  const volume = await shelf.open('B');
  await volume.write(60_000, content.subarray(0, 500));
  const found = new Uint8Array(60_500);
  await volume.readInto(0, found);
  assert.equal(Buffer.compare(found, Buffer.concat([content, content.subarray(0, 500)])), 0);
  await volume.close();
  await assert.rejects(shelf.close(), IntegrityError, 'not everything is committed');
  assert.deepEqual(filesIn(directory), before, 'its spool is as it was');
  assert.deepEqual(await namesOf(), [volumeA, volumeA, volumeB]);
  const stored = await openStoredVolume(repository, 'B', 'h');
  assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), found), 0, 'the other volume is committed');
  await stored.close();

  fs.writeFileSync(data, sound);
  const again = await VolumeShelf.open(repository, { spool: `${spool}-crashed`, host: 'h' });
  const healed = await again.open('A');
  const bytes = new Uint8Array(healed.size);
  await healed.readInto(0, bytes);
  assert.equal(Buffer.compare(bytes, content), 0, 'once its spool is sound again, so is the volume');
  await healed.close();
  await again.close();
  await repository.close();
});
