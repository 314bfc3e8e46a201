/** Steps on disks: tables, volumes and the filesystems in them; what is not there is said together with what is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { NotFoundError, UnsupportedError, UsageError, textOf, type TreeProblem } from '../../core/index.ts';
import { fixture as image } from '../../formats/images/testdata/fixture.ts';
import { fixture as volumes } from '../../formats/partitions/testdata/fixture.ts';
import { groupVolumes } from '../../formats/partitions/testdata/sums.ts';
import { dynamicDisks } from '../../formats/partitions/testing/ldm-disk.ts';
import { luksDisk, luksKey } from '../../formats/partitions/testing/luks-disk.ts';
import { openLocation, type LayerInfo, type Location, type OpenOptions } from './index.ts';
import { CountedTree } from './testing/counted-tree.ts';
import { partitioned } from './testing/disks.ts';

const formats = fileURLToPath(new URL('../../../../src/formats/', import.meta.url));
let directory = '';

function fixture(name: string): Buffer {
  return brotliDecompressSync(readFileSync(path.join(formats, name)));
}

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'holdfast-guest-layer-'));
  const fat = fixture('filesystems/fat/testdata/fat16.img.br');
  writeFileSync(path.join(directory, 'fat.raw'), fat);
  writeFileSync(path.join(directory, 'disk.raw'), partitioned(fat));
  writeFileSync(path.join(directory, 'trap.raw'), partitioned(fixture('images/testdata/child.qcow2.br')));
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

/** One volume group on a whole disk, in a partition, and in a container in a partition. */
async function groupDisks(): Promise<CountedTree> {
  const [a, b, c] = await Promise.all([0, 1, 2].map((i) => volumes(`lvm-${i}`))) as [Uint8Array, Uint8Array, Uint8Array];
  return new CountedTree({ a, b: partitioned(b), c: partitioned(luksDisk(c)) });
}

async function digestOf(location: Location): Promise<string> {
  const { tree, id } = await location.node();
  const source = await tree.open(id);
  const bytes = new Uint8Array(source.size);
  await source.readInto(0, bytes);
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

interface Part {
  readonly step: string;
  readonly holds?: string;
  readonly locked?: true;
}

function partsOf({ parts }: LayerInfo): readonly Part[] {
  return (parts ?? []) as readonly Part[];
}

/** What `info` tells of disks, and of what is wrong with them. */
async function described(tree: CountedTree, step: string, options: OpenOptions = {}): Promise<{ readonly layers: readonly LayerInfo[]; readonly problems: readonly TreeProblem[] }> {
  return tree.at([step], options, async (location) => ({ layers: await location.diskLayers(), problems: location.damage() }));
}

test('members of a volume group lie in partitions, and in containers that a key opens', async () => {
  const tree = await groupDisks();
  for (const { step, sha256 } of groupVolumes.filter(({ type }) => type !== 'thin')) {
    assert.equal(await tree.at(['/c,/b,/a', step], { keys: [luksKey] }, digestOf), sha256, step);
  }
  const whole = await tree.at(['/a,/b,/c', 'lv=vg/lin'], { keys: [luksKey] }, (location) => location.layers.at(-1));
  assert.equal(whole?.['missing'], undefined);
  for (const keys of [[], [Buffer.from('wrong')]]) {
    await assert.rejects(tree.at(['/c', 'lv=vg/lin'], { keys }, () => undefined), (error) => error instanceof NotFoundError && /no volume group; .*--key FILE/.test(error.message));
    await assert.rejects(tree.at(['/c', 'p1', 'luks'], { keys }, () => undefined), (error) => error instanceof NotFoundError && error.message.includes('--key FILE'));
  }
});

test('info tells of every disk, of what is in containers, and of sets over several disks', async () => {
  const tree = await groupDisks();
  const { layers, problems } = await described(tree, '/a,/b,/c', { keys: [luksKey] });
  assert.deepEqual(problems, []);
  assert.deepEqual(layers.map(({ layer, format, disk }) => [layer, format, disk]), [['table', 'mbr', 'b'], ['table', 'mbr', 'c'], ['table', 'lvm', undefined]]);
  assert.deepEqual(partsOf(layers[1] as LayerInfo).map(({ step, holds }) => [step, holds]), [['p1', 'luks'], ['p1::luks', 'lvm']]);
  assert.deepEqual(layers[2]?.['members'], ['a', 'b::p1', 'c::p1::luks']);
  assert.ok(partsOf(layers[2] as LayerInfo).some(({ step }) => step === 'lv=vg/lin'));
  const locked = await described(tree, '/c');
  assert.deepEqual(partsOf(locked.layers[0] as LayerInfo).map(({ step, locked: is }) => [step, is]), [['p1', undefined], ['p1::luks', true]]);
  assert.deepEqual(locked.problems, [], 'a container that is locked is what it should be');
});

test('members that are missing and spare tables that were used are problems', async () => {
  const { layers, problems } = await described(await groupDisks(), '/b');
  assert.deepEqual(problems.filter(({ kind }) => kind === 'missing-member').map(({ where, message }) => [where, message]), [['b::p1: lvm', '2 of 3 members of the lvm set are not here']]);
  assert.ok(partsOf(layers[0] as LayerInfo).some(({ step }) => step === 'p1::lv=vg/lin'));
  const table = (await volumes('gpt')).slice();
  table.fill(0, 512, 1024);
  assert.deepEqual((await described(new CountedTree({ table }), '/table')).problems.map(({ kind, where }) => [kind, where]), [['damaged-table', 'table: GPT header']]);
  const mirror = await at('raid5-0,raid5-2::md=lab', (location) => location.layers.at(-1));
  assert.deepEqual([mirror?.layer, mirror?.['missing']], ['volume', 1]);
});

test('dynamic disks have a step of their own', async () => {
  const [a, b] = dynamicDisks(2, 400, [{ name: 'Volume1', size: 40, components: [{ type: 2, partitions: [0, 1].map((disk) => ({ disk, start: 0, size: 20, volumeOffset: disk * 20 })) }] }]) as [Uint8Array, Uint8Array];
  const tree = new CountedTree({ a, b });
  assert.equal(await tree.at(['/b,/a', 'ldm=Volume1'], {}, async (location) => (await location.node()).tree.format), 'disk');
  await assert.rejects(tree.at(['/a,/b', 'ldm=No'], {}, () => undefined), (error) => error instanceof NotFoundError && error.message.includes("'ldm=Volume1'"));
});

test('what is needed besides is said by name, and what an image has not', async () => {
  const tree = new CountedTree(Object.fromEntries(await Promise.all(['child.qcow2', 'base.qcow2', 'snapshot.qcow2', 'zstd.qcow2', 'note'].map(async (name) => [name, name === 'note' ? new Uint8Array(4_096) : await image(name)] as const))));
  const failing = (...steps: readonly string[]): Promise<unknown> => tree.at(steps, {}, () => undefined);
  const disks = (list: string, onNote?: (text: string) => void): Promise<number> => tree.at([list], onNote === undefined ? {} : { onNote }, ({ place }) => (place.kind === 'disk' ? place.disks.length : 0));
  assert.equal(await disks('/child.qcow2,/base.qcow2'), 1);
  assert.equal(await disks('/child.qcow2,/base.qcow2,/zstd.qcow2'), 2, 'one disk is a chain, the other belongs with it');
  const notes: string[] = [];
  assert.equal(await disks('/child.qcow2,/base.qcow2,/note', (text) => { notes.push(text); }), 1);
  assert.match(notes.join(), /'note' is left out/);
  await assert.rejects(failing('/child.qcow2', 'p2'), (error) => error instanceof NotFoundError && error.message.includes("'child.qcow2,base.qcow2'"));
  await assert.rejects(failing('/snapshot.qcow2', 'snapshot=nope'), (error) => error instanceof NotFoundError && error.message.includes("it has 'before'"));
  await assert.rejects(failing('/zstd.qcow2', 'snapshot=nope'), (error) => error instanceof NotFoundError && error.message.includes('no internal snapshots'));
});

test('an image of a kind that is not read is no raw disk, unless that is asked for', async () => {
  const tree = new CountedTree({ 'a.qed': Buffer.concat([Buffer.from('QED\0'), Buffer.alloc(4_096)]), 'b.hds': Buffer.concat([Buffer.from('WithoutFreeSpace'), Buffer.alloc(4_096)]) });
  await assert.rejects(tree.at(['/a.qed', 'p1'], {}, () => undefined), (error) => error instanceof UnsupportedError && /QED images are recognised/.test(error.message));
  await assert.rejects(described(tree, '/b.hds'), (error) => error instanceof UnsupportedError && /Parallels/.test(error.message));
  await assert.rejects(tree.at(['raw:/a.qed', 'p1'], {}, () => undefined), NotFoundError);
});

test('what has no reader here is said by name, alone and in a partition', async () => {
  const cases: readonly (readonly [string, number, string])[] = [
    ['SquashFS', 0, 'hsqs'], ['ISO 9660', 32_769, 'CD001'], ['UDF', 34_817, 'NSR03'], ['HFS Plus', 1024, 'H+\0\x04'], ['JFS', 32_768, 'JFS1'], ['swap', 65_526, 'SWAPSPACE2'], ['a Sun disk label', 188, '\x60\x0d\xde\xee'],
  ];
  for (const [holds, offset, magic] of cases) {
    const content = Buffer.alloc(1 << 17);
    content.write(magic, offset, 'latin1');
    if (holds === 'UDF') content.write('CD001', 32_769, 'latin1');
    writeFileSync(path.join(directory, 'foreign.raw'), content);
    writeFileSync(path.join(directory, 'foreign-disk.raw'), partitioned(content));
    for (const text of ['foreign.raw::/', 'foreign.raw::p1', 'foreign-disk.raw::p1::/']) {
      await assert.rejects(at(text, () => undefined), (error) => error instanceof UnsupportedError && error.message.includes(`holds ${holds}, `), `${text} ${holds}`);
    }
  }
});
