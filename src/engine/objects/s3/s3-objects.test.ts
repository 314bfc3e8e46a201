/** The suite of the contract, over the bucket in memory; pages are small, so that listings have several. */
import { objectStoreSuite, type ObjectStoreFixture } from '../../../core/conformance/index.ts';
import type { ObjectStore } from '../../../core/index.ts';
import { nodeWorld } from '../../world/index.ts';
import { s3Location } from './location.ts';
import { openS3Objects } from './s3-objects.ts';
import { LoopbackS3 } from './testing/loopback-s3.ts';

const world = nodeWorld('.');
const opened = new WeakMap<ObjectStore, { readonly server: LoopbackS3; readonly again: () => Promise<ObjectStore> }>();

const fixture: ObjectStoreFixture = {
  create: async () => {
    const server = new LoopbackS3(() => world.now());
    const environment = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: await server.listen() };
    const again = (): Promise<ObjectStore> => openS3Objects(world, s3Location('s3://bucket/a/b', environment), 'write', { pageRows: 7 });
    const store = await again();
    opened.set(store, { server, again });
    return store;
  },
  again: async (store) => (opened.get(store) as { again: () => Promise<ObjectStore> }).again(),
  wait: (_store, milliseconds) => world.sleep(milliseconds),
  dispose: async (store) => { await opened.get(store)?.server.close(); },
};

objectStoreSuite('S3Objects on loopback', fixture);
