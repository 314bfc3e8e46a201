/**
 * What a start finds in a spool that was damaged, or whose last commit was not what it seemed. A refused spool must be refused by the second start, too: a review found that the first one
 * cut a rotten log before it saw that another followed, and the second then took the shorter log, with zeroes where synced bytes had been. And a snapshot whose read-back had
 * failed, but which could not be removed, was believed by the next start, which deleted the only good copy.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { IntegrityError, ToolError, UnsupportedError, readRange } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { Repository, memoryWorld } from '../../engine/index.ts';
import type { ShelfRepository } from './repository.ts';
import { VolumeShelf } from './shelf.ts';
import { openStoredVolume } from './volume-report.ts';
import { VolumeSpool } from './volume-spool.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-recovery-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });
const shelf = { id: 'shelf', note: () => undefined };
let directories = 0;

function newDirectory(): string {
  directories += 1;
  return path.join(root, `${directories}`);
}

function filesIn(directory: string): readonly (readonly [string, string])[] {
  return fs.readdirSync(directory, { recursive: true }).map(String).filter((name) => fs.statSync(path.join(directory, name)).isFile() && name !== 'lock').sort()
    .map((name) => [name, fs.readFileSync(path.join(directory, name), 'hex')]);
}

function rot(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  fs.writeFileSync(file, bytes);
}

test('a rotten log that another one follows is refused by every start, and stays as it is', async () => {
  const directory = newDirectory();
  const spool = await VolumeSpool.open(directory, undefined, shelf);
  for (let i = 0; i < 20; i += 1) await spool.write(i * 1000, seededBytes(1000, i), 1);
  await spool.freeze();
  spool.thaw(); // a commit that failed: both logs stay
  await spool.write(20_000, seededBytes(1000, 20), 1);
  await spool.sync();
  await spool.close(false);
  rot(path.join(directory, '0000000001.data'), 5005);
  const before = filesIn(directory);
  for (let start = 1; start <= 3; start += 1) {
    await assert.rejects(VolumeSpool.open(directory, undefined, shelf), IntegrityError, `start ${start}`);
    assert.deepEqual(filesIn(directory), before, `start ${start} changed the spool`);
  }
});

test('a rotten byte that was synced is damage and refused; behind the last sync it is cut', async () => {
  for (const [part, at, isDamage] of [['data', 5, true], ['data', 9_999, true], ['operations', 100, true], ['data', 12_500, false], ['operations', 48 * 12 + 5, false], ['synced', 5, false]] as const) {
    const directory = newDirectory();
    const spool = await VolumeSpool.open(directory, undefined, shelf);
    for (let i = 0; i < 15; i += 1) {
      await spool.write(i * 1000, seededBytes(1000, i), 1);
      if (i === 4 || i === 9) await spool.sync();
    }
    // The kernel may write out what was never synced: so do copies of the files as a sync would leave them, with the markers from before.
    const file = path.join(directory, '0000000001.synced');
    const marker = fs.readFileSync(file);
    await spool.sync();
    await spool.close(false);
    fs.writeFileSync(file, marker);
    rot(path.join(directory, `0000000001.${part}`), at);
    const before = filesIn(directory);
    if (isDamage) {
      for (let start = 1; start <= 3; start += 1) {
        await assert.rejects(VolumeSpool.open(directory, undefined, shelf), IntegrityError, `${part} ${at}, start ${start}`);
        assert.deepEqual(filesIn(directory), before, `start ${start} changed the spool`);
      }
      continue;
    }
    for (let start = 1; start <= 2; start += 1) {
      const recovered = await VolumeSpool.open(directory, undefined, shelf);
      assert.equal(recovered.size, part === 'synced' ? 15_000 : 12_000, `${part} ${at}`);
      await recovered.close(false);
    }
  }
});

test('a synced log whose files were cut off is refused', async () => {
  for (const part of ['data', 'operations'] as const) {
    const directory = newDirectory();
    const spool = await VolumeSpool.open(directory, undefined, shelf);
    for (let i = 0; i < 5; i += 1) await spool.write(i * 1000, seededBytes(1000, i), 1);
    await spool.sync();
    await spool.close(false);
    fs.truncateSync(path.join(directory, `0000000001.${part}`), part === 'data' ? 4000 : 48 * 4);
    for (let start = 1; start <= 2; start += 1) await assert.rejects(VolumeSpool.open(directory, undefined, shelf), IntegrityError, `${part}, start ${start}`);
  }
});

/** A repository that forgets nothing, and whose new snapshots can be made to come back wrong, or not to be readable at all. */
function stubborn(repository: Repository, forget: 'absent' | 'refused'): { readonly store: ShelfRepository; fault: 'none' | 'bytes' | 'death' } {
  const state: { store: ShelfRepository; fault: 'none' | 'bytes' | 'death' } = {
    fault: 'none',
    store: {
      id: repository.id, snapshots: () => repository.snapshots(), openSnapshot: (id) => repository.openSnapshot(id),
      ...(forget === 'absent' ? {} : { forget: () => Promise.reject(new UnsupportedError('append-only')) }),
      backup: async (tree, options) => {
        if (state.fault !== 'bytes') {
          const result = await repository.backup(tree, options);
          if (state.fault === 'death') throw new ToolError('the process died');
          return result;
        }
        const { open } = tree;
        tree.open = async (node) => {
          const source = await open.call(tree, node);
          if (source.size < 10_000) return source;
          const { readInto } = source;
          return Object.assign(source, { readInto: async (offset: number, target: Uint8Array) => {
            await readInto.call(source, offset, target);
            if (offset === 0) target[50] = (target[50] ?? 0) ^ 1;
          } });
        };
        return repository.backup(tree, options);
      },
    },
  };
  return state;
}

for (const forget of ['absent', 'refused'] as const) {
  for (const fault of ['bytes', 'death'] as const) {
    test(`a commit that ${fault === 'bytes' ? 'came back wrong' : 'was never read back'} is compared at the next start (forget ${forget})`, async () => {
      const repository = await Repository.create(memoryWorld(1), {}, { index: 'memory', workers: 0 });
      const [state, spool] = [stubborn(repository, forget), newDirectory()];
      const notes: string[] = [];
      const open = (): Promise<VolumeShelf> => VolumeShelf.open(state.store, { spool, host: 'h', note: (text) => { notes.push(text); } });
      const content = seededBytes(90_000, 7);
      let opened = await open();
      let volume = await opened.open('Vol', { create: true });
      await volume.write(0, content.subarray(0, 30_000));
      await volume.commit();
      await volume.write(30_000, content.subarray(30_000));
      state.fault = fault;
      await assert.rejects(volume.commit());
      await volume.sync();
      fs.cpSync(spool, `${spool}-crashed`, { recursive: true, filter: (source) => path.basename(source) !== 'lock' });
      state.fault = 'none';
      opened = await VolumeShelf.open(state.store, { spool: `${spool}-crashed`, host: 'h', note: (text) => { notes.push(text); } });
      volume = await opened.open('Vol');
      const found = new Uint8Array(volume.size);
      await volume.readInto(0, found);
      assert.equal(Buffer.compare(found, content), 0, 'the spool had everything');
      assert.equal(notes.some((text) => text.includes('does not hold what was written')), fault === 'bytes');
      await volume.close();
      await opened.close();
      const stored = await openStoredVolume(repository, 'Vol', 'h');
      assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), content), 0, 'the newest snapshot is right');
      await stored.close();
      await repository.close();
    });
  }
}

test('a commit whose answer was lost does not stand in the way of the next one, and goes', async () => {
  for (const fault of ['bytes', 'death'] as const) {
    for (const mayForget of [true, false]) {
      const repository = await Repository.create(memoryWorld(1), {}, { index: 'memory', workers: 0 });
      const state = stubborn(repository, 'absent');
      const store: ShelfRepository = mayForget ? { ...state.store, forget: (ids) => repository.forget(ids) } : state.store;
      const opened = await VolumeShelf.open(store, { spool: newDirectory(), host: 'h' });
      const volume = await opened.open('Vol', { create: true });
      const content = seededBytes(60_000, 3);
      await volume.write(0, content.subarray(0, 30_000));
      state.fault = fault;
      await assert.rejects(volume.commit());
      await volume.write(30_000, content.subarray(30_000)); // behind what may be committed
      await assert.rejects(volume.commit());
      state.fault = 'none';
      await volume.commit();
      assert.equal((await repository.snapshots()).length, mayForget ? 1 : 3, `${fault}`);
      await volume.close();
      await opened.close();
      const stored = await openStoredVolume(repository, 'Vol', 'h');
      assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), content), 0);
      await stored.close();
      await repository.close();
    }
  }
});

test('a write that finds the disk full fails the later ones, and what was synced before can still be committed', async () => {
  const [repository, spool] = [await Repository.create(memoryWorld(1), {}, { index: 'memory', workers: 0 }), newDirectory()];
  const state = stubborn(repository, 'absent');
  const opened = await VolumeShelf.open(state.store, { spool, host: 'h' });
  const volume = await opened.open('Vol', { create: true });
  const content = seededBytes(30_000, 5);
  await volume.write(0, content);
  await volume.sync();
  const handle = await fs.promises.open(path.join(spool, 'shelf.json'));
  const prototype = Object.getPrototypeOf(handle) as { write: (bytes: Uint8Array, from: number, length: number, at: number) => Promise<unknown> };
  await handle.close();
  const { write } = prototype;
  prototype.write = function partly(bytes, from, length, at) {
    return length > 4000 ? write.call(this, bytes, from, 1000, at) : Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  };
  try {
    await assert.rejects(volume.write(30_000, seededBytes(5000, 6)), ToolError);
  } finally {
    prototype.write = write;
  }
  await assert.rejects(volume.write(30_000, seededBytes(5000, 6)), ToolError);
  await assert.rejects(volume.sync(), ToolError);
  state.fault = 'death';
  await assert.rejects(volume.commit(), ToolError);
  state.fault = 'none';
  fs.cpSync(spool, `${spool}-crashed`, { recursive: true, filter: (source) => path.basename(source) !== 'lock' });
  const recovered = await VolumeSpool.open(path.join(`${spool}-crashed`, 'volume-Vol'), undefined, shelf);
  assert.equal(recovered.size, content.length, 'a crash after that finds whole logs');
  await recovered.close(true);
  await volume.commit();
  await assert.rejects(volume.close(), ToolError);
  await assert.rejects(opened.close(), ToolError);
  const stored = await openStoredVolume(repository, 'Vol', 'h');
  assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), content), 0);
  await stored.close();
  await repository.close();
});
