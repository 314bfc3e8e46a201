import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { defaultLimits, IntegrityError, lookupPath, MemorySource, type NodeId, NotFoundError, readRange, UsageError, utf8 } from '../../core/index.ts';
import { baculaFormat } from './format.ts';
import type { BaculaTree } from './job-tree.ts';
import { fixtureContext, fixtureFile, fixtureManifest, fixtureVolume, openBytes } from './testdata/fixture.ts';

async function node(tree: BaculaTree, line: Readonly<Record<string, unknown>>): Promise<NodeId> {
  const path = typeof line['path_b64'] === 'string' ? new Uint8Array(Buffer.from(line['path_b64'], 'base64')) : utf8(String(line['path']));
  const id = await lookupPath(tree, path);
  assert.ok(id !== undefined, `${String(line['path'])} is there`);
  return id;
}

const types: Readonly<Record<string, string>> = { file: 'file', dir: 'directory', symlink: 'symlink', fifo: 'fifo', chr: 'character', blk: 'block' };

async function checkLine(tree: BaculaTree, line: Readonly<Record<string, unknown>>, withAttributes: boolean): Promise<void> {
  const id = await node(tree, line);
  const stat = await tree.stat(id);
  const what = String(line['path']);
  assert.equal(stat.type, types[String(line['type'])], what);
  assert.equal(`0o${stat.mode.toString(8)}`, line['mode'], what);
  assert.deepEqual([stat.uid, stat.gid, stat.modified.seconds], [line['uid'], line['gid'], line['mtime']], what);
  if (stat.type === 'file') {
    assert.equal(stat.size, line['size'], what);
    const source = await tree.open(id);
    assert.equal(createHash('md5').update(await readRange(source, 0, source.size)).digest('hex'), line['md5'], what);
  }
  if (line['target'] !== undefined) assert.equal(Buffer.from(await tree.readLink(id)).toString(), line['target'], what);
  if (line['rdev'] !== undefined) assert.deepEqual([stat.deviceMajor, stat.deviceMinor], line['rdev'], what);
  const found = Object.fromEntries([...await tree.attributes(id)].map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
  if (withAttributes) assert.deepEqual(found, { ...(line['xattr'] as object | undefined) }, what);
}

for (const [set, manifest, jobs] of [
  ['accurate-deleted', 'manifest-acc.jsonl', 'all'], ['accurate-deleted', 'manifest-acc-at-full.jsonl', 'first'], ['special-files', 'manifest-special.jsonl', 'all'],
  ['b15-acl-xattr', 'manifest-aclx.jsonl', 'all'], ['sparsegzip', 'manifest-sparse.jsonl', 'all'], ['b15-sparselzo', 'manifest-sparse.jsonl', 'all'],
  ['encrypted', 'manifest-small.jsonl', 'all'], ['b15-volume-encrypted', 'manifest-small.jsonl', 'all'],
] as const) {
  test(`${set} is what ${manifest} says, without problems`, async () => {
    const volumes = await openBytes([await fixtureVolume(set)], await fixtureContext());
    assert.deepEqual(volumes.problems(), []);
    const ids = volumes.jobs().map((job) => job.jobId);
    const tree = volumes.chainTree(jobs === 'all' ? ids : ids.slice(0, 1));
    for (const line of await fixtureManifest(`${set}/${manifest}`)) if (line['type'] !== 'sock') await checkLine(tree, line, set === 'b15-acl-xattr');
    assert.deepEqual(tree.problems(), []);
    for await (const problem of volumes.verifyContents()) assert.fail(problem.message);
    await volumes.close();
  });
}

test('recorded deletions are applied', async () => {
  const volumes = await openBytes([await fixtureVolume('accurate-deleted')]);
  const chain = volumes.chainTree(volumes.jobs().map((job) => job.jobId));
  const gone = (await fixtureManifest('accurate-deleted/manifest-acc-at-full.jsonl')).find((line) => String(line['path']).endsWith('/zeros.bin'));
  assert.equal(await lookupPath(chain, utf8(String(gone?.['path']))), undefined);
  const [first, second] = volumes.jobs();
  assert.throws(() => volumes.chainTree([second?.jobId ?? 0, first?.jobId ?? 0]), UsageError);
  assert.throws(() => volumes.jobTree({ jobId: 999 }), NotFoundError);
});

test('hard links are one node', async () => {
  const volumes = await openBytes([await fixtureVolume('special-files')]);
  const tree = volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 });
  const lines = (await fixtureManifest('special-files/manifest-special.jsonl')).filter((line) => /\/hl\/(a|b|deep\/er\/c)$/.test(String(line['path'])));
  const ids = await Promise.all(lines.map((line) => node(tree, line)));
  assert.equal(new Set(ids).size, 1);
  assert.equal((await tree.stat(ids[0] as NodeId)).links, 3);
});

test('a sparse file shows its holes, and its content verifies', async () => {
  const volumes = await openBytes([await fixtureVolume('sparsegzip')]);
  const tree = volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 });
  const line = (await fixtureManifest('sparsegzip/manifest-sparse.jsonl')).find((one) => String(one['path']).endsWith('/hole-mid'));
  const source = await tree.open(await node(tree, line ?? {}));
  const extents = [];
  for await (const extent of source.extents(0, source.size)) extents.push(extent);
  assert.equal(extents.reduce((sum, extent) => sum + extent.length, 0), source.size);
  assert.ok(extents.some((extent) => extent.kind === 'hole' && extent.length > 4 << 20));
  assert.equal(extents[0]?.kind, 'data');
});

test('encrypted content: the master key opens it, no key is a clear error', async () => {
  const bytes = await fixtureVolume('encrypted');
  const line = (await fixtureManifest('encrypted/manifest-small.jsonl')).find((one) => one['type'] === 'file' && Number(one['size']) > 100) ?? {};
  const read = async (keys: readonly Uint8Array[]): Promise<string> => {
    const volumes = await openBytes([bytes], { limits: defaultLimits, keys });
    const tree = volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 });
    const source = await tree.open(await node(tree, line));
    return createHash('md5').update(await readRange(source, 0, source.size)).digest('hex');
  };
  assert.equal(await read([await fixtureFile('keys/master.keypair')]), line['md5']);
  await assert.rejects(read([]), NotFoundError);
});

test('an encrypted volume: no key and a wrong key are clear errors', async () => {
  const bytes = await fixtureVolume('b15-volume-encrypted');
  await assert.rejects(openBytes([bytes]), NotFoundError);
  const wrong = utf8(`cipher: AES_128_XTS\ncipher_key: ${Buffer.alloc(32, 7).toString('base64')}\n`);
  await assert.rejects(openBytes([bytes], { limits: defaultLimits, keys: [wrong] }), NotFoundError);
});

test('an unknown name in an ACL is told, not dropped in silence', async () => {
  const bytes = await fixtureVolume('b15-acl-xattr');
  const { openVolumeSet } = await import('./volume-set.ts');
  const volumes = await openVolumeSet([{ name: 'v', source: new MemorySource(bytes) }], { limits: defaultLimits });
  const tree = volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 });
  const line = (await fixtureManifest('b15-acl-xattr/manifest-aclx.jsonl')).find((one) => String(one['path']).endsWith('/acl/file1')) ?? {};
  assert.equal((await tree.attributes(await node(tree, line))).has('system.posix_acl_access'), false);
  assert.equal(tree.problems()[0]?.kind, 'unknown-name');
});

test('probe tells volumes from other bytes', async () => {
  const volume = await fixtureVolume('sparsegzip');
  assert.deepEqual(await baculaFormat.probe(new MemorySource(volume)), { match: 'yes', version: 'BB02' });
  assert.equal((await baculaFormat.probe(new MemorySource(new Uint8Array(1000)))).match, 'no');
  const damaged = volume.slice();
  damaged[60] = 0xff;
  assert.equal((await baculaFormat.probe(new MemorySource(damaged))).match, 'damaged');
});

test('a digest that does not hold is found on the last byte, and stays found', async () => {
  const volume = await fixtureVolume('sparsegzip');
  const volumes = await openBytes([volume]);
  const tree = volumes.jobTree({ jobId: volumes.jobs()[0]?.jobId ?? 0 });
  const line = (await fixtureManifest('sparsegzip/manifest-sparse.jsonl')).find((one) => String(one['path']).endsWith('/hole-mid')) ?? {};
  const source = await tree.open(await node(tree, line));
  // The volume changes after it was opened: the block no longer matches its checksum when it is read.
  volume.fill(0, 30_000, 40_000);
  await assert.rejects(readRange(source, source.size - 1, 1), IntegrityError);
  await assert.rejects(readRange(source, 0, 10), IntegrityError);
});
