/**
 * Damage of every stored object: check says so, reads give the right bytes or an error, and what is disposable repairs itself.
 * `HOLDFAST_FLIPS=N` flips so many bits of each kind, `HOLDFAST_SEED` chooses others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldfastError, decodePlace, defaultLimits, idToHex, readRange, type ChunkIndex } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { TABLE_ROW_BYTES, containerHeader, containerTrailer, groupHeader } from '../containers/container.layout.ts';
import { listContainers, readContainerHeader } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { DiskObjects } from '../objects/index.ts';
import { openIndex, type IndexKind } from '../index/index.ts';
import { GROUP_BYTES } from '../store/group-builder.ts';
import type { CheckProblem } from '../check/problem.ts';
import { Repository } from './repository.ts';

const roots: readonly MemoryNode[] = [
  directoryNode({ large: fileNode(seededBytes(GROUP_BYTES + 500_000, 1)), small: fileNode(seededBytes(300, 2)), directory: directoryNode({ text: fileNode(new Uint8Array(90_000).map((_, i) => i % 61 + i % 7)) }) }),
  directoryNode({ other: fileNode(seededBytes(200_000, 3)) }),
];

interface Made { readonly disk: SimulatedDisk; readonly snapshots: readonly string[] }

async function make(): Promise<Made> {
  const disk = new SimulatedDisk();
  const world = simulatedWorld(disk, 1);
  const repository = await Repository.create(world, {}, { index: 'log', workers: 0 });
  const snapshots: string[] = [];
  for (const root of roots) snapshots.push((await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' })).snapshot);
  await repository.close();
  return { disk, snapshots };
}

async function checked(repository: Repository, readData = true): Promise<readonly CheckProblem[]> {
  const problems: CheckProblem[] = [];
  await repository.check({ readData, onProblem: (problem) => { problems.push(problem); } });
  return problems;
}

async function assertExact(repository: Repository, snapshots: readonly string[]): Promise<void> {
  for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
}

/** For each kind of structure and index. */
const FLIPS = Number(process.env['HOLDFAST_FLIPS'] ?? 20);
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 0);

interface Region { readonly path: string; readonly start: number; readonly end: number }

/** Where each kind of structure lies. */
async function regionsOf(disk: SimulatedDisk): Promise<Readonly<Record<string, readonly Region[]>>> {
  const regions: Record<string, Region[]> = { config: [], manifest: [], header: [], head: [], table: [], payload: [], footer: [], trailer: [] };
  const add = (kind: string, path: string, start: number, end: number): void => { regions[kind]?.push({ path, start, end }); }; // oxlint-disable-line max-params -- a range of a file
  for (const path of disk.files) {
    const size = disk.bytesOf(path).length;
    if (path === 'config') add('config', path, 0, size);
    if (path.startsWith('manifests/')) add('manifest', path, 0, size);
  }
  for (const { number, size } of await listContainers(new DiskObjects(simulatedWorld(disk, 9), 'test'))) {
    const path = `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
    const rows = await readFooter(await disk.open(path), defaultLimits) ?? [];
    add('header', path, 0, containerHeader.size);
    for (const { offset, length, chunkCount } of rows) {
      const table = offset + groupHeader.size;
      const payload = table + chunkCount * TABLE_ROW_BYTES;
      add('head', path, offset, table);
      add('table', path, table, payload);
      add('payload', path, payload, offset + length);
    }
    const last = rows[rows.length - 1];
    add('footer', path, (last?.offset ?? 0) + (last?.length ?? 0), size - containerTrailer.size);
    add('trailer', path, size - containerTrailer.size, size);
  }
  return regions;
}

/** Reads all that can be read. @returns how many files gave an error; wrong bytes fail. */
async function readAll(repository: Repository, snapshots: readonly string[]): Promise<number> {
  let errors = 0;
  for (const [i, id] of snapshots.entries()) {
    const expected = new MemoryTree(roots[i] as MemoryNode);
    for (const path of [['large'], ['small'], ['directory', 'text'], ['other']]) {
      try {
        const tree = await repository.openSnapshot(id);
        let [found, wanted] = [tree.rootId, expected.rootId];
        for (const part of path) {
          const next = await expected.lookup(wanted, Buffer.from(part));
          if (next === undefined) break;
          wanted = next;
          found = await tree.lookup(found, Buffer.from(part)) as typeof found;
        }
        if ((await expected.stat(wanted)).type !== 'file') continue;
        const source = await tree.open(found);
        const other = await expected.open(wanted);
        assert.equal(Buffer.compare(await readRange(source, 0, source.size), await readRange(other, 0, other.size)), 0, `wrong bytes of '${path.join('/')}'`);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        errors += 1;
      }
    }
  }
  return errors;
}

interface Verdict { readonly reported: boolean; readonly errors: number }

async function judge(disk: SimulatedDisk, snapshots: readonly string[], index: IndexKind): Promise<Verdict> {
  let repository: Repository;
  try {
    repository = await Repository.open(simulatedWorld(disk, 2), { mode: 'read', index, workers: 0 });
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String(error));
    return { reported: true, errors: 0 };
  }
  const errors = await readAll(repository, snapshots);
  let problems = 0;
  const report = await repository.check({ readData: true, onProblem: () => { problems += 1; } });
  await repository.close();
  assert.equal(report.ok, problems === 0);
  return { reported: problems > 0, errors };
}

for (const index of ['log', 'memory'] as const) {
  test(`each flipped bit is reported and never read as if it were right (index ${index})`, async (t) => {
    const { disk, snapshots } = await make();
    const next = seededRandom(SEED + index.length);
    for (const [kind, regions] of Object.entries(await regionsOf(disk))) {
      let errors = 0;
      for (let i = 0; i < FLIPS; i += 1) {
        const region = regions[Math.floor(next() * regions.length)] as Region;
        const offset = region.start + Math.floor(next() * (region.end - region.start));
        const mask = 1 << Math.floor(next() * 8);
        disk.flip(region.path, offset, mask);
        const verdict = await judge(disk, snapshots, index);
        assert.ok(verdict.reported, `bit ${mask} at ${offset} of '${region.path}' (${kind}) goes unnoticed, HOLDFAST_SEED=${SEED}`);
        errors += verdict.errors > 0 ? 1 : 0;
        disk.flip(region.path, offset, mask);
      }
      t.diagnostic(`${kind}: all of ${FLIPS} reported, ${errors} with files that cannot be read, seed ${SEED}`);
    }
    assert.deepEqual(await judge(disk, snapshots, index), { reported: false, errors: 0 }, 'and all is well again without flips');
  });
}

test('a reader leaves no trace on the disk', async () => {
  const { disk, snapshots } = await make();
  const before = disk.operations;
  const repository = await Repository.open(simulatedWorld(disk, 2), { mode: 'read', index: 'log', workers: 0 });
  await assertExact(repository, snapshots);
  await repository.close();
  assert.equal(disk.operations, before);
});

type Harm = (disk: SimulatedDisk, path: string, next: () => number) => void;
const harms: Readonly<Record<string, Harm>> = {
  removed: (disk, path) => { disk.replace(path, undefined); },
  emptied: (disk, path) => { disk.replace(path, new Uint8Array(0)); },
  cut: (disk, path, next) => { const bytes = disk.bytesOf(path); disk.replace(path, bytes.slice(0, Math.floor(next() * bytes.length))); },
  flipped: (disk, path, next) => { disk.flip(path, Math.floor(next() * disk.bytesOf(path).length), 1 << Math.floor(next() * 8)); },
};
for (const [what, harm] of Object.entries(harms)) {
  test(`index and filter files that are ${what} repair themselves when the repository is opened`, async (t) => {
    const paths = (await make()).disk.files.filter((path) => /^(?:index|cache)\//.test(path));
    assert.ok(paths.some((path) => path.startsWith('index/')) && paths.includes('cache/filter-cold'), String(paths));
    let notes = 0;
    const next = seededRandom(SEED + what.length);
    for (const path of paths) {
      for (let i = 0; i < (what === 'cut' || what === 'flipped' ? 6 : 1); i += 1) {
        const { disk, snapshots } = await make();
        harm(disk, path, next);
        const repository = await Repository.open(simulatedWorld(disk, 2), { mode: 'write', index: 'log', workers: 0, onNote: () => { notes += 1; } });
        await assertExact(repository, snapshots);
        assert.deepEqual(await checked(repository), [], `${what} '${path}'`);
        const again = await repository.backup(new MemoryTree(roots[0] as MemoryNode), { sources: ['/'], host: 'h' });
        assert.equal(again.chunksNew, 0, 'everything is known');
        await repository.close();
      }
    }
    t.diagnostic(`${paths.length} files, ${notes} notes`);
  });
}

async function entriesOf(index: ChunkIndex): Promise<readonly string[]> {
  const rows: string[] = [];
  for await (const { ids, places } of index.scan()) rows.push(`${idToHex(ids.bytes.subarray(0, ids.count * 32))} ${idToHex(places.subarray(0, ids.count * 20))}`);
  return [...rows, JSON.stringify(await index.watermarks())];
}

test('an index built again from the containers equals the live one', async () => {
  const { disk, snapshots } = await make();
  const world = simulatedWorld(disk, 2);
  const live = await openIndex(world, { kind: 'log', mode: 'read' });
  const before = await entriesOf(live.index);
  await live.index.close();
  const steps: number[] = [];
  const report = await Repository.rebuildIndex(world, { index: 'log', onProgress: (done) => { steps.push(done); } });
  assert.deepEqual(report.problems, []);
  assert.deepEqual(steps, [0, 1, 2, 3]);
  const built = await openIndex(world, { kind: 'log', mode: 'read' });
  assert.deepEqual(await entriesOf(built.index), before);
  await built.index.close();
  const repository = await Repository.open(world, { mode: 'read', index: 'log', workers: 0 });
  await assertExact(repository, snapshots);
  await repository.close();
});

test('check names a container that is gone, and the files that need it', async () => {
  const { disk, snapshots } = await make();
  const world = simulatedWorld(disk, 2);
  const kinds = new Map<string, string>();
  for (const { number } of await listContainers(new DiskObjects(simulatedWorld(disk, 9), 'test'))) {
    const path = `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
    kinds.set(path, `${await readContainerHeader(await disk.open(path), number)} ${number.text}`);
  }
  const [path, name] = [...kinds].find(([file, kind]) => kind.startsWith('data') && disk.bytesOf(file).length > 1_000_000) as [string, string];
  const bytes = disk.bytesOf(path);
  const repository = await Repository.open(world, { mode: 'read', index: 'log', workers: 0 });
  disk.replace(path, undefined);
  const problems = await checked(repository, false);
  assert.deepEqual(problems.filter(({ kind }) => kind === 'missing-container').map(({ where }) => where), [`container ${name.split(' ')[1]}`]);
  const files = (list: readonly CheckProblem[]): readonly string[] => list.filter(({ kind }) => kind === 'damaged-file').map(({ where }) => where.split(':')[1] as string).sort();
  assert.deepEqual(files(problems), ['/directory/text', '/large', '/small']);
  await repository.close();

  const notes: string[] = [];
  const again = await Repository.open(world, { mode: 'write', index: 'log', workers: 0, onNote: (text) => { notes.push(text); } });
  assert.ok(notes.some((text) => text.includes(name.split(' ')[1] as string)), 'the note names it');
  assert.deepEqual(files(await checked(again, false)), ['/directory/text', '/large', '/small']);
  await again.close();

  disk.replace(path, bytes); // it is found again
  const healed = await Repository.open(world, { mode: 'write', index: 'log', workers: 0 });
  assert.deepEqual(await checked(healed), []);
  await assertExact(healed, snapshots);
  await healed.close();
});

test('of a container that was cut anywhere, whole groups with good payloads count, no others', async () => {
  const { disk } = await make();
  const containers = await listContainers(new DiskObjects(simulatedWorld(disk, 9), 'test'));
  const { number } = containers.reduce((a, b) => (a.size > b.size ? a : b));
  const path = `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
  const bytes = disk.bytesOf(path);
  const rows = await readFooter(await disk.open(path), defaultLimits) ?? [];
  assert.ok(rows.length >= 2, `${rows.length} groups`);
  const next = seededRandom(7);
  const edges = rows.flatMap(({ offset, length }) => [offset, offset + 1, offset + 40, offset + length - 1]);
  for (const cut of [0, 1, 31, 32, ...edges, ...Array.from({ length: 12 }, () => Math.floor(next() * bytes.length)), bytes.length - 1]) {
    const torn = bytes.slice(0, cut);
    const whole = rows.filter(({ offset, length }) => offset + length <= cut);
    const last = whole[whole.length - 1];
    // Every second time the last whole group has a damaged payload: then its one chunk does not count either.
    const isHarmed = last !== undefined && cut % 2 === 0;
    if (isHarmed) torn[last.offset + last.length - 1] = (torn[last.offset + last.length - 1] as number) ^ 1;
    const copy = new SimulatedDisk();
    copy.replace('config', disk.bytesOf('config'));
    copy.replace(path, torn);
    const notes: string[] = [];
    const repository = await Repository.open(simulatedWorld(copy, 3), { mode: 'write', index: 'log', workers: 0, onNote: (text) => { notes.push(text); } });
    assert.ok(notes.some((text) => text.includes(number.text)), `the note names it, cut at ${cut}`);
    const damaged = await checked(repository);
    assert.ok(damaged.some(({ where }) => where.includes(number.text)), `check names it, cut at ${cut}`);
    assert.ok(!damaged.some(({ kind }) => kind === 'damaged-chunk') || isHarmed, `no bad chunk is taken for good, cut at ${cut}`);
    await repository.close();
    assert.deepEqual(copy.bytesOf(path), torn, 'nothing is changed by opening it');
    const index = (await openIndex(simulatedWorld(copy, 4), { kind: 'log', mode: 'read' })).index;
    const places = new Set<number>();
    for await (const page of index.scan()) for (let i = 0; i < page.ids.count; i += 1) places.add(decodePlace(page.places, i).offset);
    await index.close();
    const good = new Set(whole.map(({ offset }) => offset));
    for (const offset of places) assert.ok(good.has(offset), `cut at ${cut}: a group at ${offset} is known`);
    for (const { offset } of isHarmed ? whole.slice(0, -1) : whole) assert.ok(places.has(offset), `cut at ${cut}: the group at ${offset} is lost`);
  }
});
