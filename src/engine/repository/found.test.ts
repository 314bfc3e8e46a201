/**
 * Objects that someone created just before he was killed can be seen, and are not yet durable: whoever acts on one makes it durable first. Each story was found by
 * `npm run crash`: a process is killed between giving a name and syncing its directory, another goes on with what it sees, then the power fails.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { Repository } from './repository.ts';

const options = { index: 'log', workers: 0 } as const;
const OUTCOMES = 12;

function files(...seeds: readonly number[]): MemoryNode {
  return directoryNode(Object.fromEntries(seeds.map((seed) => [`f${seed}`, fileNode(seededBytes(9_000, seed))])));
}

async function backUp(repository: Repository, root: MemoryNode): Promise<string> {
  return (await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' })).snapshot;
}

/** Runs until a directory is to be synced, and is killed there. @returns what another process finds. */
async function killedAtSync(disk: SimulatedDisk, directory: string, run: () => Promise<unknown>): Promise<SimulatedDisk> {
  let isDead = false;
  disk.fault = ({ kind, path }) => {
    isDead ||= kind === 'syncDirectory' && path === directory;
    return isDead ? new Error('killed') : undefined;
  };
  await assert.rejects(run(), /killed/);
  return disk.afterKill();
}

function open(disk: SimulatedDisk, seed: number): Promise<Repository> {
  return Repository.open(simulatedWorld(disk, seed), { ...options, mode: 'write' });
}

test('the config that a killed creator left is durable before anything is stored', async () => {
  const first = new SimulatedDisk();
  let syncs = 0;
  const survivor = await killedAtSync(first, '', async () => {
    // The first sync of the root is that of the empty layout.
    const { fault } = first;
    first.fault = (operation) => (operation.kind === 'syncDirectory' && operation.path === '' && (syncs += 1) === 1 ? undefined : fault(operation));
    await Repository.create(simulatedWorld(first, 1), {}, options);
  });
  const repository = await open(survivor, 2);
  const snapshot = await backUp(repository, files(1));
  await repository.close();
  for (let seed = 1; seed <= OUTCOMES; seed += 1) {
    const again = await open(survivor.afterPowerCut(seed), 3);
    await assertSameTree(await again.openSnapshot(snapshot), new MemoryTree(files(1)));
    await again.close();
  }
});

test('a snapshot that was forgotten twice, once by someone who was killed, stays away', async () => {
  const disk = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(disk, 1), {}, options);
  const snapshot = await backUp(repository, files(1));
  const survivor = await killedAtSync(disk, 'tombstones', () => repository.forget([snapshot]));
  const other = await open(survivor, 2);
  await other.forget([snapshot]);
  await other.close();
  for (let seed = 1; seed <= OUTCOMES; seed += 1) {
    const again = await open(survivor.afterPowerCut(seed), 3);
    assert.deepEqual(await again.snapshots(), []);
    await again.close();
  }
});

/** A backup that has begun and knows what is stored, while its snapshot's twin is forgotten and collected. */
async function backUpBesideCollector(disk: SimulatedDisk): Promise<void> {
  const collector = await open(disk, 4);
  const twin = await backUp(collector, files(7));
  const writer = await open(disk, 5);
  const tree = new MemoryTree(files(7));
  const openFile = tree.open.bind(tree);
  tree.open = async (id) => {
    await collector.forget([twin]);
    await collector.collect();
    return openFile(id);
  };
  const { snapshot } = await writer.backup(tree, { sources: ['/other'], host: 'h' });
  await assertSameTree(await writer.openSnapshot(snapshot), new MemoryTree(files(7)));
  await writer.close();
  await collector.close();
}

test('a list of condemned containers that a killed collector left is durable before it is decided', async () => {
  // Else its number is free again and its decision is there already: the next list of that number would be carried out without waiting for anybody.
  const disk = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(disk, 1), {}, options);
  const gone = await backUp(repository, files(1));
  await backUp(repository, files(2));
  await repository.forget([gone]);
  const survivor = await killedAtSync(disk, 'condemned', () => repository.collect());
  const other = await open(survivor, 2);
  assert.ok((await other.collect()).containersRemoved > 0);
  await other.close();
  for (let seed = 1; seed <= OUTCOMES; seed += 1) await backUpBesideCollector(survivor.afterPowerCut(seed));
});
