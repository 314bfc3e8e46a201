import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, IntegrityError, LimitError, NotFoundError, UnsupportedError, UsageError, defaultLimits, utf8, type World } from '../../core/index.ts';
import { memoryWorld } from '../world/index.ts';
import { EntryEncoder } from './entry.ts';
import { listManifests, readManifest, resolveManifest, writeManifest, type SnapshotInfo } from './manifest.ts';
import { emptyContent } from './refs.ts';

const counts = { files: 1, directories: 2, others: 3, bytes: 4, bytesNew: 5, bytesStored: 6, chunks: 7, chunksNew: 8, problems: 9 };
const info: Omit<SnapshotInfo, 'id'> = { time: 1_700_000_000_000, host: 'h', sources: ['/a'], tags: ['t'], counts, parameters: { hash: 'blake3', minBytes: 4096 } };
const root = new EntryEncoder().encode({
  name: new Uint8Array(0), stat: { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1 }, link: 0, attributes: new Map(), content: emptyContent,
}, defaultLimits).slice();

/** Writes bytes under the id that they have. */
async function forged(world: World, text: string | Uint8Array): Promise<string> {
  const bytes = typeof text === 'string' ? utf8(text) : text;
  const id = createHash('sha256').update(bytes).digest('hex');
  const file = await world.disk.create(`manifests/${id}`);
  await file.writeFrom(0, bytes);
  await file.close();
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
    const id = await writeManifest(world, { ...info, sources, tags, host, parent: 'ab' }, root);
    const { root: entry, ...rest } = await readManifest(world, id, defaultLimits);
    assert.deepEqual(rest, { ...info, sources, tags, host, parent: 'ab', id });
    assert.equal(entry.stat.type, 'directory');
    assert.deepEqual(await listManifests(world), [id]);
    assert.deepEqual(await world.disk.list('temporary'), []);
  }), { numRuns: 40 });
});

test('each changed byte, a wrong name and a cut are IntegrityErrors', async () => {
  const world = memoryWorld();
  const id = await writeManifest(world, info, root);
  const bytes = utf8(await textOf(world, id));
  const file = await world.disk.open(`manifests/${id}`, 'write');
  for (let at = 0; at < bytes.length; at += 7) {
    await file.writeFrom(at, Uint8Array.of((bytes[at] as number) ^ 4));
    await assert.rejects(readManifest(world, id, defaultLimits), IntegrityError, `byte ${at}`);
    await file.writeFrom(at, bytes.subarray(at, at + 1));
  }
  await readManifest(world, id, defaultLimits);
  const other = 'f'.repeat(64);
  await world.disk.link(`manifests/${id}`, `manifests/${other}`);
  await assert.rejects(readManifest(world, other, defaultLimits), IntegrityError);
  await file.truncate(bytes.length - 1);
  await assert.rejects(readManifest(world, id, defaultLimits), IntegrityError);
});

test('what a newer build wrote is refused as such', async () => {
  const world = memoryWorld();
  const text = await textOf(world, await writeManifest(world, info, root));
  for (const newer of [text.replace('manifest 1\n', 'manifest 2\n'), text.replace('"version":1', '"version":2'), text.replace('"features":[]', '"features":["x"]')]) {
    assert.notEqual(newer, text);
    await assert.rejects(readManifest(world, await forged(world, newer), defaultLimits), UnsupportedError);
  }
});

test('forged manifests, right digest and all, give documented errors', async () => {
  const world = memoryWorld();
  const text = await textOf(world, await writeManifest(world, info, root));
  const bodies = ['null', '[]', '7', '"x"', '{', '{"version":1,"features":[]}', ''].map((body) => `holdfast manifest 1\n${body}\n`);
  const twice = Buffer.concat([root, root]).toString('base64');
  const roots = ['', 'AAAA', twice].map((value) => text.replace(/"root":"[^"]*"/, `"root":"${value}"`));
  for (const body of ['', 'something else', ...bodies, ...roots]) {
    await assert.rejects(readManifest(world, await forged(world, body), defaultLimits), (error) => error instanceof FormatError || error instanceof UnsupportedError, JSON.stringify(body.slice(0, 60)));
  }
  const large = await forged(world, new Uint8Array(2000));
  await assert.rejects(readManifest(world, large, { ...defaultLimits, manifestBytesMax: 1000 }), LimitError);
});

test('snapshots are found by latest, id and unique prefix', async () => {
  const world = memoryWorld();
  await assert.rejects(resolveManifest(world, 'latest', defaultLimits), NotFoundError);
  const ids = [];
  for (let i = 0; i < 40; i += 1) ids.push(await writeManifest(world, { ...info, time: info.time + (i * 7 % 40) }, root));
  assert.equal((await resolveManifest(world, 'latest', defaultLimits)).time, info.time + 39);
  for (const id of ids) assert.equal((await resolveManifest(world, id.slice(0, 12), defaultLimits)).id, id);
  const shared = ids.map((id) => id.charAt(0)).find((digit, i, all) => all.indexOf(digit) !== i) as string;
  await assert.rejects(resolveManifest(world, shared, defaultLimits), UsageError);
  for (const absent of ['', 'xyz', '../config', 'f'.repeat(65)]) await assert.rejects(resolveManifest(world, absent, defaultLimits), (error) => error instanceof NotFoundError || error instanceof UsageError, absent);
});
