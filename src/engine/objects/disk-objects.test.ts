/** Objects on a disk pass the suite of the contract, in memory and in a directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { objectStoreSuite, type ObjectStoreFixture } from '../../core/conformance/index.ts';
import type { ObjectStore, World } from '../../core/index.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { DiskObjects } from './disk-objects.ts';

function fixtureOf(create: () => World, dispose: (store: ObjectStore) => void): ObjectStoreFixture {
  const worlds = new WeakMap<ObjectStore, World>();
  return {
    create: async () => {
      const world = create();
      const store = new DiskObjects(world, 'a');
      worlds.set(store, world);
      return store;
    },
    again: async (store) => new DiskObjects(worlds.get(store) as World, 'b'),
    wait: async (store, milliseconds) => worlds.get(store)?.sleep(milliseconds),
    dispose: async (store) => { dispose(store); },
  };
}

const inMemory = fixtureOf(() => memoryWorld(), () => undefined);
const inDirectory = fixtureOf(() => nodeWorld(mkdtempSync(path.join(tmpdir(), 'holdfast-objects-'))), (store) => { rmSync(store.place, { recursive: true }); });

objectStoreSuite('DiskObjects in memory', inMemory, { runs: 50 });
objectStoreSuite('DiskObjects in a directory', inDirectory);
