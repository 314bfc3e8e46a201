/** Runs the suite of ObjectStore on a real bucket: `node --test` starts this file with the bucket in its environment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { objectStoreSuite } from '../../src/core/conformance/index.ts';
import type { ObjectStore } from '../../src/core/index.ts';
import { openS3Objects, s3Location } from '../../src/engine/objects/s3/index.ts';
import { nodeWorld } from '../../src/engine/world/index.ts';

const world = nodeWorld('.');
const bucket = process.env['HOLDFAST_LAB_BUCKET'] ?? '';
const places = new WeakMap<ObjectStore, string>();
let count = 0;

async function open(place: string): Promise<ObjectStore> {
  const store = await openS3Objects(world, s3Location(place, process.env), 'write', { pageRows: 20 });
  places.set(store, place);
  return store;
}

// The probe left nothing, so each prefix is an empty store.
objectStoreSuite(`S3Objects in '${bucket}'`, {
  create: () => open(`s3://${bucket}/suite/${count += 1}`),
  again: (store) => open(places.get(store) ?? ''),
  wait: (_store, milliseconds) => sleep(milliseconds),
  dispose: async () => undefined, // the cluster goes away as a whole
}, { runs: 8, rounds: 25, creators: 16 });
