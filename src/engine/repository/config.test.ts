import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { BusyError, FormatError, IntegrityError, NotFoundError, UnsupportedError, UsageError, utf8, type HoldfastError, type World } from '../../core/index.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { makeConfig, probeConfig, readConfig, writeConfig, type RepositoryChoices } from './config.ts';
import { Repository } from './repository.ts';

async function replace(world: World, text: string): Promise<void> {
  await world.disk.remove('config');
  const file = await world.disk.create('config');
  await file.writeFrom(0, utf8(text));
  await file.close();
}

async function textOf(world: World): Promise<string> {
  const file = await world.disk.open('config', 'read');
  const bytes = new Uint8Array(file.size);
  await file.readInto(0, bytes);
  return Buffer.from(bytes).toString();
}

function signed(first: string, json: string): string {
  return `${first}\n${json}\n${createHash('sha256').update(`${first}\n${json}\n`).digest('hex')}\n`;
}

test('a config comes back as it was written, and is written once', async () => {
  const world = memoryWorld();
  const config = makeConfig(world, { hash: 'sha256', level: 7, chunker: { min: 2048, avg: 8192, max: 32_768 }, fixedBlockBytes: 4096 });
  await writeConfig(new DiskObjects(world, 'test'), config);
  assert.deepEqual(await readConfig(new DiskObjects(world, 'test')), config);
  assert.deepEqual(await probeConfig(new DiskObjects(world, 'test')), { match: 'yes', version: '1' });
  await assert.rejects(writeConfig(new DiskObjects(world, 'test'), config), BusyError);
  await assert.rejects(Repository.create(world), BusyError);
});

test('choices out of range are refused before anything is written', async () => {
  const wrong: readonly RepositoryChoices[] = [
    { hash: 'md5' as 'sha256' }, { compression: 'lzma' as 'zstd' }, { level: 0 }, { level: 20 }, { level: 2.5 },
    { chunker: { min: 1, avg: 8192, max: 32_768 } }, { chunker: { min: 4096, avg: 10_000, max: 32_768 } }, { fixedBlockBytes: 5000 },
  ];
  for (const choices of wrong) {
    const world = memoryWorld();
    await assert.rejects(Repository.create(world, choices), UsageError, JSON.stringify(choices));
    assert.deepEqual(await world.disk.list(''), []);
  }
});

test('what is no repository, newer or damaged is told apart', async () => {
  const world = memoryWorld();
  await assert.rejects(readConfig(new DiskObjects(world, 'test')), NotFoundError);
  assert.deepEqual(await probeConfig(new DiskObjects(world, 'test')), { match: 'no' });
  await writeConfig(new DiskObjects(world, 'test'), makeConfig(world, {}));
  const text = await textOf(world);
  const [first = '', json = ''] = text.split('\n');
  const cases: readonly (readonly [string, new (...rest: never[]) => HoldfastError])[] = [
    ['a shopping list', FormatError], ['', FormatError], [signed('holdfast repository 2', json), UnsupportedError],
    [signed(first, json.replace('"features":[]', '"features":["x"]')), UnsupportedError], [signed(first, json.replace('"blake3"', '"blake9"')), UnsupportedError],
    [text.replace('16384', '32768'), IntegrityError], [text.slice(0, -5), IntegrityError], [`${first}\n`, IntegrityError],
  ];
  for (const [content, kind] of cases) {
    assert.notEqual(content, text);
    await replace(world, content);
    await assert.rejects(readConfig(new DiskObjects(world, 'test')), kind, content.slice(0, 60));
  }
});

test('writers and readers beside each other; a directory with other things is left alone', async () => {
  const world = memoryWorld();
  const writer = await Repository.create(world, {}, { workers: 0 });
  const second = await Repository.open(world, { mode: 'write', workers: 0 });
  const reader = await Repository.open(world, { mode: 'read', workers: 0 });
  assert.deepEqual([reader.id, second.id], [writer.id, writer.id]);
  await reader.close();
  await second.close();
  await writer.close();
  assert.deepEqual([await world.disk.list('temporary'), await world.disk.list('locks')], [[], []]);
  const strange = memoryWorld();
  await (await strange.disk.create('holiday.jpg')).close();
  await assert.rejects(Repository.create(strange), BusyError);
  assert.deepEqual((await strange.disk.list('')).map(({ name }) => name), ['holiday.jpg']);
});
