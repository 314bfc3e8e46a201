/** What of a repository is read, and what is said of it; damage itself is tested in `repair` and `repository`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { numberOf, type ContainerRow } from '../containers/container.ts';
import { Repository } from '../repository/repository.ts';
import type { CheckOptions, CheckReport } from './check.ts';
import { IndexPrints, Print } from './index-prints.ts';
import { checkSelection, selectContainers, type ReadSelection } from './selection.ts';
import { readVerified, writeVerified } from './verified.ts';

const options = { index: 'log', workers: 0 } as const;

function rowsOf(count: number): readonly ContainerRow[] {
  const next = seededRandom(5);
  return Array.from({ length: count }, (_, i) => ({ number: numberOf(i, Math.floor(next() * 2 ** 32)), size: 1_000 + i, modified: 0 }));
}

test('parts cover everything once, and stay the same when containers come', () => {
  const rows = rowsOf(1_000);
  const parts = [1, 2, 3, 4, 5].map((part) => selectContainers(rows, { part, parts: 5 }, new Map()));
  assert.equal(new Set(parts.flat()).size, 1_000);
  assert.equal(parts.flat().length, 1_000);
  const some = selectContainers(rows, { percent: 20 }, new Map());
  assert.ok(some.length > 150 && some.length < 250, `${some.length} of 1,000`);
  assert.deepEqual(selectContainers(rows.slice(0, 500), { percent: 20 }, new Map()), some.filter(({ number }) => number.high < 500));
});

test('a budget takes what was verified longest ago, so that all have their turn', () => {
  const rows = rowsOf(100);
  const verified = new Map<string, number>();
  for (let day = 1; day <= 11; day += 1) {
    const chosen = selectContainers(rows, { budgetPercent: 10 }, verified);
    assert.ok(chosen.length >= 9 && chosen.length <= 12, `${chosen.length} on day ${day}`);
    for (const { number } of chosen) verified.set(number.text, day);
  }
  assert.equal(verified.size, 100, 'each of them within eleven days');
});

test('selections out of range are refused', () => {
  const wrong: readonly ReadSelection[] = [{ part: 0, parts: 2 }, { part: 3, parts: 2 }, { part: 1.5, parts: 2 }, { percent: 0 }, { percent: 101 }, { budgetPercent: Number.NaN }];
  for (const selection of wrong) assert.throws(() => { checkSelection(selection); }, UsageError, JSON.stringify(selection));
});

test('times of verification survive, and a damaged file counts as none', async () => {
  const disk = new SimulatedDisk();
  const world = simulatedWorld(disk, 1);
  const rows = rowsOf(3);
  const times = new Map(rows.map(({ number }, i) => [number.text, 1_700_000_000_000 + i]));
  await writeVerified(world, 'temporary/x', rows.slice(0, 2), times);
  assert.deepEqual(await readVerified(disk), new Map([...times].slice(0, 2)), 'what is gone is forgotten');
  for (let at = 0; at < disk.bytesOf('cache/verified').length; at += 1) {
    disk.flip('cache/verified', at, 8);
    assert.equal((await readVerified(disk)).size, 0, `byte ${at}`);
    disk.flip('cache/verified', at, 8);
  }
  disk.replace('cache/verified', disk.bytesOf('cache/verified').slice(0, 20));
  assert.equal((await readVerified(disk)).size, 0, 'cut');
});

test('prints differ when any id, offset, length or ordinal does, and not by order', () => {
  const ids = seededBytes(64, 1);
  const places = new Uint8Array(40);
  const view = new DataView(places.buffer);
  for (const i of [0, 1]) for (const [at, value] of [[0, 7], [4, 8], [8, 32], [12, 900]] as const) view.setUint32(i * 20 + at, value);
  view.setUint16(36, 1);
  const printOf = (one: Uint8Array, two: Uint8Array): Print => {
    const prints = new IndexPrints();
    prints.add(one, two, 2);
    return prints.of(7, 8);
  };
  const print = printOf(ids, places);
  const swap = (bytes: Uint8Array, size: number): Uint8Array => new Uint8Array([...bytes.subarray(size), ...bytes.subarray(0, size)]);
  assert.ok(print.equals(printOf(swap(ids, 32), swap(places, 20))), 'another order');
  for (const at of [8, 12, 16, 36]) {
    const other = places.slice();
    other[at + 1] = (other[at + 1] as number) ^ 1;
    assert.ok(!print.equals(printOf(ids, other)), `byte ${at} of a place`);
  }
  const other = ids.slice();
  other[3] = (other[3] as number) ^ 1;
  assert.ok(!print.equals(printOf(other, places)), 'an id');
  assert.ok(!print.equals(new Print()));
});

async function checked(disk: SimulatedDisk, wish: Omit<CheckOptions, 'onProblem'>, now = 0): Promise<CheckReport> {
  const world = simulatedWorld(disk, 2 + now);
  const repository = await Repository.open({ ...world, now: () => now, sleep: () => Promise.resolve(), randomBytes: (count) => world.randomBytes(count), disk }, { ...options, mode: 'read' });
  try {
    return await repository.check({ ...wish, onProblem: ({ kind, where, message }) => assert.fail(`${kind} ${where}: ${message}`) });
  } finally {
    await repository.close();
  }
}

test('a repository is read in parts, and says since when everything was read', async () => {
  const disk = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(disk, 1), {}, options);
  for (let i = 0; i < 6; i += 1) await repository.backup(new MemoryTree(directoryNode({ [`f${i}`]: fileNode(seededBytes(40_000, i)) })), { sources: [`/${i}`], host: 'h' });
  await repository.close();
  const all = await checked(disk, {});
  assert.equal(all.containersRead, 0);
  assert.equal(all.verifiedSince, null);
  const parts = [await checked(disk, { readData: { part: 1, parts: 2 } }, 10), await checked(disk, { readData: { part: 2, parts: 2 } }, 20)];
  assert.equal(parts.reduce((sum, { containersRead }) => sum + containersRead, 0), all.containers);
  assert.equal(parts[1]?.verifiedSince, parts[0]?.containersRead === 0 ? 20 : 10);
  let since: number | null = 0;
  for (let day = 30; day < 45; day += 1) ({ verifiedSince: since } = await checked(disk, { readData: { budgetPercent: 20 } }, day));
  assert.ok(since !== null && since >= 35, `everything was read since ${since}`);
  const whole = await checked(disk, { readData: true }, 50);
  assert.equal(whole.verifiedSince, 50);
  assert.equal(whole.files, 6);
  assert.equal(whole.bytesRead > 6 * 40_000, true);
});
