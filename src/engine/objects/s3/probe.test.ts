/** Stores with vices: opening one for writing says what is wrong with it, and reading never takes another thing for an answer. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { HoldfastError, NotFoundError, ProtocolError, ToolError, UnsupportedError, type ObjectStore } from '../../../core/index.ts';
import { nodeWorld } from '../../world/index.ts';
import { s3Location, type S3Location } from './location.ts';
import { openS3Objects } from './s3-objects.ts';
import { LoopbackS3, type LoopbackVices } from './testing/loopback-s3.ts';

const world = nodeWorld('.');
let server: LoopbackS3;
let location: S3Location;

beforeEach(async () => {
  server = new LoopbackS3(() => world.now());
  location = s3Location('s3://bucket/x', { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: await server.listen() });
});
afterEach(() => server.close());

async function open(vices: LoopbackVices = {}, mode: 'read' | 'write' = 'write'): Promise<ObjectStore> {
  server.vices = vices;
  return openS3Objects(world, location, mode, { attempts: 2, pauseMs: 1 });
}

async function listAll(store: ObjectStore): Promise<void> {
  for await (const page of store.list('')) assert.ok(page.length > 0);
}

for (const vices of [{ ignoresCondition: true }, { refusesCondition: true }, { dropsMetadata: true }] as const) {
  test(`a store that ${Object.keys(vices)[0]} is refused for writing, and nothing stays there`, async () => {
    await assert.rejects(open(vices), (error) => error instanceof UnsupportedError && error.message.includes("Open 's3://bucket/x' for writing"));
    assert.deepEqual([...server.objects.keys()], []);
    await (await open(vices, 'read')).close();
  });
}

test('a store that lists backwards is refused for writing', () => assert.rejects(async () => {
  const store = await open();
  await store.put('keys/a', Uint8Array.of(1));
  await store.put('keys/b', Uint8Array.of(1));
  server.vices = { listsBackwards: true };
  await listAll(store);
}, ProtocolError));

test('where nothing can be removed, however often it is opened one scratch object stays', async () => {
  for (let i = 0; i < 3; i += 1) {
    const store = await open({ refusesRemoval: true });
    assert.deepEqual(await store.capabilities(), { putIfAbsent: true, listAfterPut: true, remove: false, remote: true });
    await assert.rejects(store.remove('config'), UnsupportedError);
    await store.close();
  }
  assert.deepEqual([...server.objects.keys()], ['x/scratch/append-only']);
  await assert.rejects(open({ refusesRemoval: true, ignoresCondition: true }), UnsupportedError, 'also when the scratch object is there already');
});

test('a store opened for reading writes nothing and promises nothing', async () => {
  const store = await open({}, 'read');
  assert.deepEqual(await store.capabilities(), { putIfAbsent: false, listAfterPut: false, remove: false, remote: true });
  await assert.rejects(store.put('config', Uint8Array.of(1)), UnsupportedError);
  await assert.rejects(store.create('config'), UnsupportedError);
  await assert.rejects(store.remove('config'), UnsupportedError);
  assert.equal(server.objects.size, 0);
  await store.close();
});

test('a missing bucket and a gateway\'s page are no missing object', async () => {
  const store = await open();
  await assert.rejects(store.open('config'), NotFoundError);
  server.vices = { gatewayPage: true };
  await assert.rejects(store.open('config'), (error) => error instanceof ToolError && error.message.includes("status '404'"));
  await store.close();
  location = { ...location, bucket: 'another' };
  await assert.rejects(open(), (error) => error instanceof ToolError && error.message.includes('create the bucket first'));
  const reading = await open({}, 'read');
  await assert.rejects(reading.open('config'), ToolError);
  await assert.rejects(listAll(reading), ToolError);
  await reading.close();
});

test('a store that ignores ranges, and one that gives other bytes under the same name', async () => {
  const store = await open();
  await store.put('config', new Uint8Array(100_000));
  const reader = await store.open('config');
  server.vices = { ignoresRange: true };
  await assert.rejects(reader.readInto(20_000, new Uint8Array(10)), HoldfastError);
  await assert.rejects(store.open('config'), ProtocolError);
  server.vices = {};
  server.objects.delete('x/config');
  await store.put('config', new Uint8Array(100_000).fill(1));
  await assert.rejects(reader.readInto(20_000, new Uint8Array(10)), NotFoundError);
  await store.close();
});

const row = (key: string): string => `<Contents><Key>${key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>`;
const listings: Readonly<Record<string, string>> = {
  nothing: '', 'a page of HTML': '<html><body/></html>', 'cut off': `<ListBucketResult><IsTruncated>false</IsTruncated>${row('x/a')}`,
  'without IsTruncated': `<ListBucketResult>${row('x/a')}</ListBucketResult>`,
  'truncated without a place to go on': `<ListBucketResult><IsTruncated>true</IsTruncated>${row('x/a')}</ListBucketResult>`,
  'a page that goes on for ever': `<ListBucketResult><IsTruncated>true</IsTruncated>${row('x/a')}<NextContinuationToken>a</NextContinuationToken></ListBucketResult>`,
  'fewer rows than it counts': `<ListBucketResult><IsTruncated>false</IsTruncated>${row('x/a')}<KeyCount>2</KeyCount></ListBucketResult>`,
  'a key of another prefix': `<ListBucketResult><IsTruncated>false</IsTruncated>${row('y/a')}</ListBucketResult>`,
  'a size that is none': `<ListBucketResult><IsTruncated>false</IsTruncated>${row('x/a').replace('<Size>1', '<Size>-1')}</ListBucketResult>`,
  'a time that is none': `<ListBucketResult><IsTruncated>false</IsTruncated>${row('x/a').replace('2026', 'today')}</ListBucketResult>`,
};
for (const [what, listing] of Object.entries(listings)) {
  test(`a listing that is ${what} is no listing`, async () => {
    const store = await open({ listing }, 'read');
    await assert.rejects(listAll(store), ProtocolError);
    await store.close();
  });
}

test('keys of other programs below the prefix are left out', async () => {
  const keys = ['x/', 'x/a//b', 'x/b', 'x/c%20d', 'x/%E0%A4', 'x/%FF'].sort();
  const store = await open({ listing: `<ListBucketResult><IsTruncated>false</IsTruncated>${keys.map(row).join('')}</ListBucketResult>` }, 'read');
  const pages: unknown[] = [];
  for await (const page of store.list('')) pages.push(page);
  assert.deepEqual(pages, [[{ name: 'b', size: 1, modified: Date.UTC(2026, 0, 1) }]]);
  await store.close();
});
