/** Steps on disks: tables, volumes and the filesystems in them; what is not there is said together with what is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { NotFoundError, UnsupportedError, UsageError, textOf, type TreeProblem } from '../../core/index.ts';
import { openLocation, type Location } from './index.ts';

const formats = fileURLToPath(new URL('../../../../src/formats/', import.meta.url));
const SECTOR = 512;
const START = 2048;
let directory = '';

function fixture(name: string): Buffer {
  return brotliDecompressSync(readFileSync(path.join(formats, name)));
}

/** A disk with one primary partition. */
function diskWith(content: Uint8Array): Buffer {
  const disk = Buffer.alloc(START * SECTOR + Math.ceil(content.length / SECTOR) * SECTOR);
  disk[446 + 4] = 0x0b;
  disk.writeUInt32LE(START, 446 + 8);
  disk.writeUInt32LE(Math.ceil(content.length / SECTOR), 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  disk.set(content, START * SECTOR);
  return disk;
}

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'holdfast-guest-layer-'));
  const fat = fixture('filesystems/fat/testdata/fat16.img.br');
  writeFileSync(path.join(directory, 'fat.raw'), fat);
  writeFileSync(path.join(directory, 'disk.raw'), diskWith(fat));
  writeFileSync(path.join(directory, 'trap.raw'), diskWith(fixture('images/testdata/child.qcow2.br')));
  writeFileSync(path.join(directory, 'note.txt'), 'no disk\n'.repeat(200));
  for (const name of ['raid5-0', 'raid5-1', 'raid5-2']) writeFileSync(path.join(directory, name), fixture(`partitions/testdata/${name}.raw.br`));
});
after(() => { rmSync(directory, { recursive: true }); });

async function at<T>(text: string, use: (location: Location) => Promise<T> | T, problems?: TreeProblem[]): Promise<T> {
  const location = await openLocation(text.split(',').map((one) => path.join(directory, one)).join(','), problems === undefined ? {} : { onProblem: (one) => { problems.push(one); } });
  try {
    return await use(location);
  } finally {
    await location.close();
  }
}

async function namesOf(location: Location): Promise<readonly string[]> {
  const { tree, id } = await location.node();
  const names: string[] = [];
  for await (const page of tree.list(id)) for (const { name } of page) names.push(textOf(name));
  return names.sort();
}

test('a filesystem is the same alone and in a partition', async () => {
  const alone = await at('fat.raw::/', namesOf);
  assert.ok(alone.length > 2);
  assert.deepEqual(await at('disk.raw::p1::/', namesOf), alone);
  await at('disk.raw::p1::/', (location) => { assert.deepEqual(location.layers.map(({ layer }) => layer), ['host', 'image', 'volume', 'filesystem', 'path']); });
});

test('info tells what each partition holds', () => at('disk.raw', async (location) => {
  const [table] = await location.diskLayers();
  const [part] = (table?.['parts'] ?? []) as readonly { readonly step: string; readonly holds: string }[];
  assert.deepEqual([table?.layer, table?.['format'], part?.step, part?.holds], ['table', 'mbr', 'p1', 'FAT16']);
}));

test('what is not there is said together with what is', async () => {
  const failing = (text: string): Promise<unknown> => at(text, () => undefined);
  await assert.rejects(failing('disk.raw::/'), (error) => error instanceof UsageError && error.message.includes("'p1'"));
  await assert.rejects(failing('disk.raw::p2'), (error) => error instanceof NotFoundError && error.message.includes("'p1'"));
  await assert.rejects(failing('disk.raw::p1::/none'), NotFoundError);
  await assert.rejects(failing('disk.raw::lv=vg/a'), NotFoundError);
  await assert.rejects(failing('fat.raw::p1'), NotFoundError);
  await assert.rejects(failing('fat.raw::subvol=a'), UnsupportedError);
  await assert.rejects(failing('note.txt::/a'), NotFoundError);
  await assert.rejects(failing('note.txt::p1'), NotFoundError);
});

test('inside a disk nobody takes what a guest wrote for a disk image', () => at('trap.raw::p1', async (location) => {
  assert.equal((await location.node()).tree.format, 'disk');
  await assert.rejects(location.step('/'), NotFoundError);
}));

test('members are found in any order, and a missing one is computed', async () => {
  const digest = (files: string): Promise<string> => at(files, async (location) => {
    const [table] = await location.diskLayers();
    const [part] = (table?.['parts'] ?? []) as readonly { readonly step: string; readonly size: number }[];
    await location.step(part?.step ?? '');
    const { tree, id } = await location.node();
    const source = await tree.open(id);
    const bytes = new Uint8Array(source.size);
    await source.readInto(0, bytes);
    assert.equal(source.size, part?.size);
    return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
  });
  const whole = await digest('raid5-2,raid5-0,raid5-1');
  assert.equal(await digest('raid5-0,raid5-2'), whole);
});
