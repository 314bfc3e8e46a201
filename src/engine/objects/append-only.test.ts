/** An append-only store takes what backups create, and nothing that could take something away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyError, UnsupportedError, readObject } from '../../core/index.ts';
import { memoryWorld } from '../world/index.ts';
import { APPENDED_DIRECTORIES, appendOnly } from './append-only.ts';
import { DiskObjects } from './disk-objects.ts';

test('creates once, only where backups do, and removes nothing', async () => {
  const inner = new DiskObjects(memoryWorld(), 'a');
  const store = appendOnly(inner);
  assert.deepEqual(await store.capabilities(), { ...await inner.capabilities(), remove: false });
  for (const directory of APPENDED_DIRECTORIES) {
    await store.put(`${directory}/x`, Uint8Array.of(1));
    await assert.rejects(store.put(`${directory}/x`, Uint8Array.of(2)), BusyError);
    const writer = await store.create(`${directory}/y/z`);
    await writer.append(Uint8Array.of(3));
    await writer.commit();
    await assert.rejects(store.remove(`${directory}/x`), UnsupportedError);
    assert.deepEqual([...await readObject(store, `${directory}/x`, () => undefined)], [1]);
  }
  for (const name of ['config', 'manifests', 'keys/slot-a', 'tombstones/a', 'condemned/00000001', 'reprieved/00000001', 'relocated/a', 'quarantine/a', 'manifestsx/a']) {
    await assert.rejects(store.put(name, Uint8Array.of(1)), UnsupportedError);
    await assert.rejects(store.create(name), UnsupportedError);
  }
  let count = 0;
  for await (const page of store.list('')) count += page.length;
  assert.equal(count, 2 * APPENDED_DIRECTORIES.length);
});
