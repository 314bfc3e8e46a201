/**
 * Every kind of object damaged at random: check says so, restore never gives wrong bytes, parity or the same content arriving again heals.
 * `HOLDFAST_FLIPS=N` flips so many bits of each kind, `HOLDFAST_SEED` chooses others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldfastError, defaultLimits, readRange } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import type { CheckProblem } from '../check/problem.ts';
import { TABLE_ROW_BYTES, containerHeader, containerTrailer, groupHeader } from '../containers/container.layout.ts';
import { listContainers } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { CatchUp } from '../store/catch-up.ts';
import { keyCredential } from '../crypto/index.ts';
import { MemoryIndex } from '../index/index.ts';
import { DiskObjects } from '../objects/index.ts';
import { Session } from '../repository/session.ts';
import { Repository } from '../repository/repository.ts';
import { GROUP_BYTES } from '../store/group-builder.ts';
import type { RepairAction } from './heal-objects.ts';
import type { RepairReport } from './repair.ts';

const options = { index: 'log', workers: 0 } as const;
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 11);
const FLIPS = Number(process.env['HOLDFAST_FLIPS'] ?? 4);

const roots: readonly MemoryNode[] = [
  directoryNode({ large: fileNode(seededBytes(GROUP_BYTES + 500_000, 1)), small: fileNode(seededBytes(300, 2)), directory: directoryNode({ text: fileNode(new Uint8Array(90_000).map((_, i) => i % 61 + i % 7)) }) }),
  directoryNode({ other: fileNode(seededBytes(200_000, 3)), last: fileNode(seededBytes(40_000, 5)) }),
];
const paths: readonly (readonly string[])[] = [['large'], ['small'], ['directory', 'text'], ['other'], ['last']];

interface Made { readonly disk: SimulatedDisk; readonly snapshots: readonly string[] }

/** Two snapshots, a forgotten third, a collection that moved chunks, and a session that is under way. */
async function make(parity: number): Promise<Made> {
  const disk = new SimulatedDisk();
  const world = simulatedWorld(disk, 1);
  const repository = await Repository.create(world, { parity }, options);
  const snapshots: string[] = [];
  const gone = await repository.backup(new MemoryTree(directoryNode({ gone: fileNode(seededBytes(300_000, 9)), small: fileNode(seededBytes(300, 2)) })), { sources: ['/'], host: 'h' });
  for (const root of roots) snapshots.push((await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h', parent: 'auto' })).snapshot);
  await repository.forget([gone.snapshot]);
  await repository.collect({ maxUnused: 0 });
  const forgotten = await repository.backup(new MemoryTree(roots[1] as MemoryNode), { sources: ['/2'], host: 'h' });
  await repository.forget([forgotten.snapshot]);
  await repository.close();
  const objects = new DiskObjects(world, 'a'.repeat(16));
  const catchUp = new CatchUp({ objects, index: new MemoryIndex(), limits: defaultLimits, hash: 'blake3', isWriter: true, note: () => undefined });
  await Session.begin(world, objects, catchUp, { writer: { id: 'b'.repeat(16), cache: 'elsewhere', host: 'h', pid: 1 }, purpose: 'backup' });
  return { disk, snapshots };
}

function copyOf(disk: SimulatedDisk): SimulatedDisk {
  const copy = new SimulatedDisk();
  for (const path of disk.files) copy.replace(path, disk.bytesOf(path).slice());
  return copy;
}

interface Region { readonly path: string; readonly start: number; readonly end: number }

/** Where each kind of structure lies; caches, which repair themselves, are tested in `damage.test.ts`. */
async function regionsOf(disk: SimulatedDisk): Promise<Map<string, Region[]>> {
  const regions = new Map<string, Region[]>();
  const add = (kind: string, region: Region): void => {
    if (region.end > region.start) regions.set(kind, [...regions.get(kind) ?? [], region]);
  };
  for (const path of disk.files) {
    const kind = path.split('/')[0] ?? '';
    const region = { path, start: 0, end: disk.bytesOf(path).length };
    if (kind === 'parity') add(path.startsWith('parity/containers/') ? 'parity of containers' : 'parity of small objects', region);
    else if (!['containers', 'index', 'cache', 'locks', 'temporary', 'quarantine'].includes(kind)) add(kind, region);
  }
  for (const { number, size } of await listContainers(new DiskObjects(simulatedWorld(disk, 9), 'test'))) {
    const path = `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
    const rows = await readFooter(await disk.open(path), defaultLimits) ?? [];
    const last = rows[rows.length - 1];
    add('header', { path, start: 0, end: containerHeader.size });
    for (const { offset, length, chunkCount } of rows) {
      const payload = offset + groupHeader.size + chunkCount * TABLE_ROW_BYTES;
      add('head', { path, start: offset, end: offset + groupHeader.size });
      add('table', { path, start: offset + groupHeader.size, end: payload });
      add('payload', { path, start: payload, end: offset + length });
    }
    add('footer', { path, start: (last?.offset ?? 0) + (last?.length ?? 0), end: size - containerTrailer.size });
    add('trailer', { path, start: size - containerTrailer.size, end: size });
  }
  return regions;
}

/** Files that can't be read, as `root/path`. Wrong bytes fail. */
async function unreadable(repository: Repository, snapshots: readonly string[]): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const [i, id] of snapshots.entries()) {
    const expected = new MemoryTree(roots[i] as MemoryNode);
    for (const path of paths) {
      let wanted = expected.rootId;
      for (const part of path) wanted = await expected.lookup(wanted, Buffer.from(part)) ?? expected.rootId;
      if (wanted === expected.rootId) continue;
      try {
        const tree = await repository.openSnapshot(id);
        let found = tree.rootId;
        for (const part of path) found = await tree.lookup(found, Buffer.from(part)) as typeof found;
        const [source, other] = [await tree.open(found), await expected.open(wanted)];
        assert.equal(Buffer.compare(await readRange(source, 0, source.size), await readRange(other, 0, other.size)), 0, `wrong bytes of '${path.join('/')}'`);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        lost.push(`snapshot ${id.slice(0, 12)}:/${path.join('/')}`);
      }
    }
  }
  return lost;
}

/** What a check says; an error of opening counts as a report too. */
async function problemsOf(disk: SimulatedDisk, snapshots: readonly string[]): Promise<readonly CheckProblem[]> {
  const problems: CheckProblem[] = [];
  let repository: Repository;
  try {
    repository = await Repository.open(simulatedWorld(disk, 2), { ...options, mode: 'read' });
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String(error));
    return [{ kind: error.code, where: 'open', message: error.message }];
  }
  try {
    await unreadable(repository, snapshots);
    await repository.check({ readData: true, onProblem: (problem) => { problems.push(problem); } });
  } finally {
    await repository.close();
  }
  return problems;
}

async function repaired(disk: SimulatedDisk, seed = 3, dryRun = false): Promise<{ readonly report: RepairReport; readonly problems: readonly CheckProblem[] }> {
  const problems: CheckProblem[] = [];
  const report = await Repository.repair(simulatedWorld(disk, seed), { ...options, dryRun, onProblem: (problem) => { problems.push(problem); } });
  return { report, problems };
}

function objectsOf(disk: SimulatedDisk): ReadonlyMap<string, Uint8Array> {
  return new Map(disk.files.filter((path) => !/^(?:index|cache|locks|temporary|quarantine)\//.test(path)).map((path) => [path, disk.bytesOf(path)]));
}

/** Kinds that a repair does not give back as they were: it ends what they are about, which is safe whatever they said. */
const ended = new Set(['sessions', 'tombstones']);

test('with parity, each flipped bit of any object is reported, healed byte for byte, and never read as if it were right', async (t) => {
  const { disk, snapshots } = await make(5);
  const next = seededRandom(SEED);
  const regions = await regionsOf(disk);
  assert.deepEqual(await problemsOf(disk, snapshots), [], 'sound to begin with');
  for (const kind of ['config', 'manifests', 'sessions', 'tombstones', 'condemned', 'reprieved', 'header', 'head', 'table', 'payload', 'footer', 'trailer', 'parity of containers', 'parity of small objects']) {
    assert.ok(regions.has(kind), `there is a '${kind}' to damage`);
  }
  for (const [kind, places] of regions) {
    for (let i = 0; i < FLIPS; i += 1) {
      const region = places[Math.floor(next() * places.length)] as Region;
      const offset = region.start + Math.floor(next() * (region.end - region.start));
      const copy = copyOf(disk);
      const before = objectsOf(copy);
      copy.flip(region.path, offset, 1 << Math.floor(next() * 8));
      const where = `byte ${offset} of '${region.path}' (${kind}), HOLDFAST_SEED=${SEED}`;
      assert.ok((await problemsOf(copy, snapshots)).length > 0, `${where} goes unnoticed`);
      const dry = objectsOf(copy);
      assert.ok((await repaired(copy, 3, true).catch(() => undefined))?.report.actions.length !== 0, `${where}: a dry run says what would be done`);
      assert.deepEqual(objectsOf(copy), dry, `${where}: a dry run changes nothing`);
      const { problems, report } = await repaired(copy);
      assert.deepEqual(problems, [], `${where}: ${JSON.stringify(report.actions)}`);
      // The new sidecar of a container knows the container's size from the start, so it is another.
      const mayDiffer = kind === 'parity of containers' ? [region.path] : [];
      if (!ended.has(kind)) assert.deepEqual(differing(objectsOf(copy), before).filter((path) => !mayDiffer.includes(path)), [], `${where}: healed to what it was`);
      assert.ok(copy.files.some((path) => path.startsWith('quarantine/')), `${where}: the damaged bytes are kept`);
      const again = await repaired(copy, 5);
      assert.deepEqual(again.report.actions, [], `${where}: a second repair has nothing to do`);
      assert.deepEqual(await problemsOf(copy, snapshots), [], `${where}: sound again`);
    }
  }
  t.diagnostic(`${regions.size} kinds of structure, ${FLIPS} flips each, seed ${SEED}`);
});

function differing(a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>): readonly string[] {
  const names = new Set([...a.keys(), ...b.keys()]);
  return [...names].filter((name) => Buffer.compare(a.get(name) ?? new Uint8Array(0), b.get(name) ?? new Uint8Array(0)) !== 0);
}

for (const kind of ['header', 'head', 'table', 'payload', 'footer', 'trailer'] as const) {
  test(`without parity, a damaged ${kind} costs exactly the files that are named, and the same content arriving again heals them`, async (t) => {
    const { disk, snapshots } = await make(0);
    const next = seededRandom(SEED);
    const places = (await regionsOf(disk)).get(kind) ?? [];
    let named = 0;
    for (const region of places) {
      const copy = copyOf(disk);
      copy.flip(region.path, region.start + Math.floor(next() * (region.end - region.start)), 1 << Math.floor(next() * 8));
      const { report, problems } = await repaired(copy);
      assert.ok(report.actions.some(({ action }: RepairAction) => action === 'salvaged'), JSON.stringify(report));
      assert.ok(problems.every(({ kind: one }) => one === 'damaged-file' || one === 'damaged-directory'), JSON.stringify(problems));
      const repository = await Repository.open(simulatedWorld(copy, 7), { ...options, mode: 'write' });
      const lost = await unreadable(repository, snapshots);
      if (problems.every(({ kind: one }) => one === 'damaged-file')) assert.deepEqual(problems.map(({ where }) => where).sort(), [...lost].sort(), 'exactly these');
      named += problems.length;
      for (const root of roots) await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h', parent: 'auto' }).catch(() => undefined);
      for (const root of roots) await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
      for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
      await repository.close();
      assert.deepEqual(await problemsOf(copy, snapshots), [], 'sound again');
      assert.deepEqual((await repaired(copy, 9)).report.actions, [], 'and a second repair has nothing to do');
    }
    t.diagnostic(`${places.length} places, ${named} files and directories named`);
  });
}

test('what a check found damaged is stored again by the next backup, without any repair', async () => {
  const { disk, snapshots } = await make(0);
  const [region] = (await regionsOf(disk)).get('payload') ?? [];
  assert.ok(region !== undefined);
  disk.flip(region.path, Math.floor((region.start + region.end) / 2), 4);
  const repository = await Repository.open(simulatedWorld(disk, 2), { ...options, mode: 'write' });
  const problems: CheckProblem[] = [];
  await repository.check({ readData: true, onProblem: (problem) => { problems.push(problem); } });
  assert.ok(problems.length > 0);
  for (const root of roots) await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
  for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
  await repository.close();
});

test('small objects that were deleted come back from their parity', async () => {
  const { disk, snapshots } = await make(0);
  const victims = disk.files.filter((path) => /^(?:config|manifests\/|condemned\/|reprieved\/)/.test(path) && disk.files.includes(`parity/${path}`));
  assert.ok(victims.length >= 4, String(victims));
  for (const path of victims) {
    if (disk.files.includes(path.replace('manifests/', 'tombstones/')) && path.startsWith('manifests/')) continue; // it is about to go
    const copy = copyOf(disk);
    const bytes = copy.bytesOf(path);
    copy.replace(path, undefined);
    assert.ok((await problemsOf(copy, snapshots)).length > 0, `that '${path}' is gone goes unnoticed`);
    assert.deepEqual((await repaired(copy)).problems, [], path);
    assert.deepEqual(copy.bytesOf(path), bytes);
  }
});

test('a deleted container costs its files even with parity, is said to be lost once, and the same content brings them back', async () => {
  const { disk, snapshots } = await make(5);
  const containers = disk.files.filter((path) => path.startsWith('containers/'));
  const largest = containers.reduce((a, b) => (disk.bytesOf(a).length > disk.bytesOf(b).length ? a : b));
  disk.replace(largest, undefined);
  const { report, problems } = await repaired(disk);
  assert.deepEqual(report.actions.map(({ action, name }) => [action, name]), [['left', largest]]);
  assert.ok(problems.length > 0 && problems.every(({ kind }) => kind === 'damaged-file' || kind === 'damaged-directory'), JSON.stringify(problems));
  const repository = await Repository.open(simulatedWorld(disk, 7), { ...options, mode: 'write' });
  for (const root of roots) await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h', parent: 'auto' });
  for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
  await repository.close();
  assert.deepEqual((await repaired(disk, 9)).report.actions, []);
  assert.deepEqual(await problemsOf(disk, snapshots), []);
});

test('an encrypted repository heals without its key as far as small objects go, and wholly with it', async () => {
  const disk = new SimulatedDisk();
  const credential = keyCredential(new Uint8Array(32).fill(7), 'key file');
  const opened = { ...options, credentials: [credential] };
  const repository = await Repository.create(simulatedWorld(disk, 1), { parity: 5, encryption: { slots: [{ credential }] } }, options);
  const { snapshot } = await repository.backup(new MemoryTree(roots[0] as MemoryNode), { sources: ['/'], host: 'h' });
  await repository.close();
  const before = objectsOf(disk);
  const lasting = [...before.keys()].filter((path) => /^(?:config|keys\/|manifests\/)/.test(path));
  assert.ok(lasting.some((path) => path.startsWith('keys/slot')) && lasting.some((path) => path.startsWith('keys/ring')), String(lasting));
  for (const path of lasting) disk.flip(path, 50, 4);
  await Repository.healObjects(simulatedWorld(disk, 2), {});
  assert.deepEqual(differing(objectsOf(disk), before), []);
  const container = [...before.keys()].filter((path) => path.startsWith('containers/')).reduce((a, b) => (disk.bytesOf(a).length > disk.bytesOf(b).length ? a : b));
  disk.flip(container, 5_000, 4);
  const problems: CheckProblem[] = [];
  await Repository.repair(simulatedWorld(disk, 3), { ...opened, onProblem: (problem) => { problems.push(problem); } });
  assert.deepEqual(problems, []);
  assert.deepEqual(differing(objectsOf(disk), before), []);
  const again = await Repository.open(simulatedWorld(disk, 4), { ...opened, mode: 'read' });
  await assertSameTree(await again.openSnapshot(snapshot), new MemoryTree(roots[0] as MemoryNode));
  await again.close();
});
