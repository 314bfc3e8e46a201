/** Repositories in buckets as commands open them: credentials of the environment, and where the cache is. The bucket is in memory. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { BusyError, NotFoundError, ToolError, UsageError, textOf } from '../core/index.ts';
import { LoopbackS3 } from '../engine/objects/s3/testing/loopback-s3.ts';
import { backupPaths } from './backup.ts';
import { openLocation } from './locations/index.ts';
import { createRepository, isEncrypted, openDirectRepository, openRepository, rebuildIndex } from './repositories.ts';
import { isRemotePlace } from './repository-place.ts';

const place = 's3://bucket/some/prefix';
const server = new LoopbackS3(() => Date.now());
let work = '';
let cache = '';

before(async () => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-place-')));
  cache = path.join(work, 'source', 'cache');
  fs.mkdirSync(path.join(work, 'source'));
  fs.writeFileSync(path.join(work, 'source', 'file'), 'what is stored\n'.repeat(10_000));
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: await server.listen(), HOLDFAST_CACHE_DIR: cache });
});
after(async () => {
  await server.close();
  fs.rmSync(work, { recursive: true, force: true });
});

test('made, used and read in a bucket; the cache is private, named by the id, left out of backups, and may be lost', async () => {
  const repository = await createRepository(place);
  const { id, directory } = repository;
  assert.equal(directory, path.join(cache, id));
  assert.equal(fs.statSync(directory).mode & 0o777, 0o700);
  const notes: string[] = [];
  const report = await backupPaths(repository, [path.join(work, 'source')], { repositoryDirectory: directory, onNote: (text) => { notes.push(text); } });
  assert.equal(report.files, 1);
  assert.match(notes.join(), /leaving out/);
  await repository.close();
  await assert.rejects(createRepository(place), BusyError);
  assert.ok([...server.objects.keys()].every((key) => key.startsWith('some/prefix/')));
  fs.rmSync(cache, { recursive: true });
  const other = path.join(work, 'other');
  for (let round = 0; round < 2; round += 1) {
    const location = await openLocation(`${place}::latest::${work}/source/file`, { cacheDirectory: other });
    assert.equal((await location.node()).path.length > 0, true);
    assert.deepEqual(location.layers.map(({ layer }) => layer), ['repository', 'snapshot', 'path']);
    await location.close();
  }
  assert.deepEqual([fs.readdirSync(other), fs.existsSync(cache)], [[id], false]);
  assert.ok((await rebuildIndex(place, { cacheDirectory: other })).chunks > 0);
  assert.equal(await isEncrypted(place, { cacheDirectory: other }), false);
  const snapshots = await openLocation(place, { cacheDirectory: other });
  const { tree, id: root } = await snapshots.browse();
  for await (const page of tree.list(root)) assert.deepEqual(page.map(({ name }) => textOf(name)), [report.snapshot]);
  await snapshots.close();
});

test('says what is wrong with a place, its credentials or its cache', async () => {
  await assert.rejects(openRepository('s3://bucket/nothing'), (error) => error instanceof NotFoundError && /no object 'config'/.test(error.message));
  await assert.rejects(openRepository('s3://elsewhere/x'), (error) => error instanceof ToolError && /GET 's3:\/\/elsewhere\/x\/config'.*status '404', code 'NoSuchBucket'.*create the bucket/.test(error.message));
  await assert.rejects(openRepository('s3://'), UsageError);
  await assert.rejects(openDirectRepository('holdfast://host/x'), (error) => error instanceof UsageError && /run the same command on the daemon's host, with the directory or bucket/.test(error.message));
  await assert.rejects(openRepository('holdfast://host/x'), (error) => error instanceof UsageError && /--wire-key/.test(error.message));
  assert.throws(() => isRemotePlace('holdfast://host'), UsageError);
  await assert.rejects(openRepository(place, { cacheDirectory: '/proc/self/status/x' }), (error) => error instanceof ToolError && /--cache-dir/.test(error.message));
  const { AWS_SECRET_ACCESS_KEY: secret = '' } = process.env;
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await assert.rejects(openRepository(place), (error) => error instanceof UsageError && /AWS_SECRET_ACCESS_KEY/.test(error.message));
  process.env['AWS_SECRET_ACCESS_KEY'] = secret;
});
