import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { BusyError, FormatError, IntegrityError, LimitError, NotFoundError, UnsupportedError, UsageError, defaultLimits, utf8, type World } from '../../core/index.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { EntryEncoder } from './entry.ts';
import { listManifests, readManifest, readManifests, resolveManifest, writeFence, writeManifest, writeTombstone, type SnapshotInfo } from './manifest.ts';
import { emptyContent } from './refs.ts';

const counts = { files: 1, directories: 2, others: 3, bytes: 4, bytesNew: 5, bytesStored: 6, chunks: 7, chunksNew: 8, problems: 9 };
const info: Omit<SnapshotInfo, 'id'> = { time: 1_700_000_000_000, host: 'h', sources: ['/a'], tags: ['t'], counts, parameters: { hash: 'blake3', minBytes: 4096 } };
const root = new EntryEncoder().encode({
  name: new Uint8Array(0), stat: { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1 }, link: 0, attributes: new Map(), content: emptyContent,
}, defaultLimits).slice();

const idOf = (name: string): string => createHash('sha256').update(name).digest('hex');

function objectsOf(world: World): DiskObjects {
  return new DiskObjects(world, 'test');
}

async function committed(world: World, change: Partial<SnapshotInfo> = {}): Promise<string> {
  const id = change.id ?? idOf('one');
  await writeManifest(objectsOf(world), { ...info, ...change, id }, root);
  return id;
}

/** Puts a manifest with a right digest, whatever it says. */
async function forged(world: World, first: string, json: string): Promise<string> {
  const text = `${first}\n${json}\n`;
  const id = idOf(text);
  await objectsOf(world).put(`manifests/${id}`, utf8(`${text}${idOf(text)}\n`));
  return id;
}

async function textOf(world: World, id: string): Promise<string> {
  const file = await world.disk.open(`manifests/${id}`, 'read');
  const bytes = new Uint8Array(file.size);
  await file.readInto(0, bytes);
  return Buffer.from(bytes).toString();
}

test('manifests come back as they were written', async () => {
  const texts = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 4 });
  await fc.assert(fc.asyncProperty(texts, texts, fc.string(), async (sources, tags, host) => {
    const world = memoryWorld();
    const id = await committed(world, { sources, tags, host, parent: 'ab' });
    const { root: entry, ...rest } = await readManifest(objectsOf(world), id, defaultLimits);
    assert.deepEqual(rest, { ...info, sources, tags, host, parent: 'ab', id });
    assert.equal(entry.stat.type, 'directory');
    assert.deepEqual(await listManifests(objectsOf(world)), [id]);
    assert.deepEqual(await world.disk.list('temporary'), []);
  }), { numRuns: 40 });
});

test('each changed byte, a wrong name and a cut are errors', async () => {
  const world = memoryWorld();
  const id = await committed(world);
  const bytes = utf8(await textOf(world, id));
  const file = await world.disk.open(`manifests/${id}`, 'write');
  const isNamed = (error: unknown): boolean => error instanceof IntegrityError || error instanceof FormatError || error instanceof UnsupportedError;
  for (let at = 0; at < bytes.length; at += 1) {
    await file.writeFrom(at, Uint8Array.of((bytes[at] as number) ^ 4));
    await assert.rejects(readManifest(objectsOf(world), id, defaultLimits), isNamed, `byte ${at}`);
    await file.writeFrom(at, bytes.subarray(at, at + 1));
  }
  await readManifest(objectsOf(world), id, defaultLimits);
  const other = 'f'.repeat(64);
  await world.disk.link(`manifests/${id}`, `manifests/${other}`);
  await assert.rejects(readManifest(objectsOf(world), other, defaultLimits), IntegrityError);
  await file.truncate(bytes.length - 1);
  await assert.rejects(readManifest(objectsOf(world), id, defaultLimits), IntegrityError);
});

test('what a newer build wrote is refused as such', async () => {
  const world = memoryWorld();
  const [first = '', json = ''] = (await textOf(world, await committed(world))).split('\n');
  for (const [line, body] of [['holdfast manifest 2', json], [first, json.replace('"features":[]', '"features":["x"]')]] as const) {
    await assert.rejects(readManifest(objectsOf(world), await forged(world, line, body), defaultLimits), UnsupportedError);
  }
});

test('bodies that are no manifests are documented errors', async () => {
  const world = memoryWorld();
  const [first = '', json = ''] = (await textOf(world, await committed(world))).split('\n');
  const bodies = ['null', '[]', '7', '"x"', '{', '{"version":1,"features":[]}', '', ...['time', 'host', 'sources', 'tags', 'counts', 'parameters', 'root'].map((field) => json.replace(`"${field}"`, '"other"'))];
  const twice = Buffer.concat([root, root]).toString('base64');
  const roots = ['', 'AAAA', twice].map((value) => json.replace(/"root":"[^"]*"/, `"root":"${value}"`));
  for (const body of [...bodies, ...roots]) {
    // The id must be right, or nothing else is looked at.
    const text = `${first}\n${body}\n`;
    const own = `${first}\n${body.replace(idOf('one'), idOf(text))}\n`;
    await objectsOf(world).put(`manifests/${idOf(text)}`, utf8(`${own}${idOf(own)}\n`));
    await assert.rejects(readManifest(objectsOf(world), idOf(text), defaultLimits), (error) => error instanceof FormatError || error instanceof IntegrityError || error instanceof UnsupportedError, body.slice(0, 60));
  }
  for (const [i, text] of ['', 'something else', 'holdfast manifest 1'].entries()) {
    await objectsOf(world).put(`manifests/${idOf(`${i}`)}`, utf8(text));
    await assert.rejects(readManifest(objectsOf(world), idOf(`${i}`), defaultLimits), FormatError);
  }
  await objectsOf(world).put(`manifests/${idOf('large')}`, new Uint8Array(2000));
  await assert.rejects(readManifest(objectsOf(world), idOf('large'), { ...defaultLimits, manifestBytesMax: 1000 }), LimitError);
});

test('a fence and a manifest under one name exclude each other', async () => {
  const world = memoryWorld();
  await writeFence(world, objectsOf(world), idOf('one'));
  await assert.rejects(committed(world), /took this backup for dead/);
  await assert.rejects(readManifest(objectsOf(world), idOf('one'), defaultLimits), NotFoundError);
  assert.deepEqual(await readManifests(objectsOf(world), defaultLimits), []);
  const two = await committed(world, { id: idOf('two') });
  await assert.rejects(writeFence(world, objectsOf(world), two), BusyError);
  assert.equal((await readManifest(objectsOf(world), two, defaultLimits)).id, two);
});

test('a snapshot with a tombstone is not listed', async () => {
  const world = memoryWorld();
  const ids = [await committed(world), await committed(world, { id: idOf('two') })] as const;
  await writeTombstone(world, objectsOf(world), ids[0]);
  await writeTombstone(world, objectsOf(world), ids[0]);
  assert.deepEqual((await readManifests(objectsOf(world), defaultLimits)).map(({ id }) => id), [ids[1]]);
});

test('snapshots are found by latest, id and unique prefix', async () => {
  const world = memoryWorld();
  const objects = objectsOf(world);
  await assert.rejects(resolveManifest(objects, 'latest', defaultLimits), NotFoundError);
  const ids: string[] = [];
  for (let i = 0; i < 40; i += 1) ids.push(await committed(world, { id: idOf(`${i}`), time: info.time + (i * 7 % 40) }));
  assert.equal((await resolveManifest(objects, 'latest', defaultLimits)).time, info.time + 39);
  for (const id of ids) assert.equal((await resolveManifest(objects, id.slice(0, 12), defaultLimits)).id, id);
  const shared = ids.map((id) => id.charAt(0)).find((digit, i, all) => all.indexOf(digit) !== i) as string;
  await assert.rejects(resolveManifest(objects, shared, defaultLimits), UsageError);
  for (const absent of ['', 'xyz', '../config', 'f'.repeat(65)]) await assert.rejects(resolveManifest(objects, absent, defaultLimits), (error) => error instanceof NotFoundError || error instanceof UsageError, absent);
});
