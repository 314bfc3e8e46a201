/** Power cuts at every disk operation of a repair: nothing that was good gets lost, no wrong byte is read, and the next repair comes to the same end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { TABLE_ROW_BYTES, groupHeader } from '../containers/container.layout.ts';
import { listContainers } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { DiskObjects } from '../objects/index.ts';
import { Repository } from '../repository/repository.ts';

const options = { index: 'log', workers: 0 } as const;
/** Outcomes of each cut. */
const SEEDS = 1;
const roots: readonly MemoryNode[] = [
  directoryNode({ first: fileNode(seededBytes(70_000, 1)), second: fileNode(seededBytes(700, 2)), third: fileNode(seededBytes(30_000, 3)) }),
  directoryNode({ first: fileNode(seededBytes(70_000, 1)), fourth: fileNode(seededBytes(20_000, 4)) }),
];

class PowerCut extends Error {}

interface Damaged {
  readonly disk: SimulatedDisk;
  readonly snapshots: readonly string[];
}

/** The first group of the largest container has a wrong bit in its first chunk; so has a manifest, or the config. */
async function make(parity: number, small: 'manifests/' | 'config'): Promise<Damaged> {
  const disk = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(disk, 1), { parity, compression: 'none' }, options);
  const snapshots: string[] = [];
  for (const root of roots) snapshots.push((await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' })).snapshot);
  await repository.close();
  const containers = await listContainers(new DiskObjects(simulatedWorld(disk, 9), 'test'));
  const { number } = containers.reduce((a, b) => (a.size > b.size ? a : b));
  const path = `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
  const [row] = await readFooter(await disk.open(path), defaultLimits) ?? [];
  assert.ok(row !== undefined);
  disk.flip(path, row.offset + groupHeader.size + row.chunkCount * TABLE_ROW_BYTES + 500, 16);
  disk.flip(disk.files.find((name) => name.startsWith(small)) ?? '', 60, 2);
  return { disk, snapshots };
}

function copyOf(disk: SimulatedDisk): SimulatedDisk {
  const copy = new SimulatedDisk();
  for (const path of disk.files) copy.replace(path, disk.bytesOf(path).slice());
  return copy;
}

/** What is wrong afterwards. */
async function repair(disk: SimulatedDisk, seed: number): Promise<readonly string[]> {
  const problems: string[] = [];
  await Repository.repair(simulatedWorld(disk, seed), { ...options, onProblem: ({ kind, where }) => { problems.push(`${kind} ${where}`); } });
  return problems.sort();
}

async function storeAgain(disk: SimulatedDisk, snapshots: readonly string[]): Promise<void> {
  const repository = await Repository.open(simulatedWorld(disk, 77), { ...options, mode: 'write' });
  for (const root of roots) await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
  for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
  const problems: string[] = [];
  await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { problems.push(`${kind} ${where}: ${message}`); } });
  assert.deepEqual(problems, []);
  await repository.close();
}

for (const [parity, small] of [[20, 'manifests/'], [0, 'config'], [0, 'manifests/']] as const) {
  test(`a repair with ${parity} % parity and a damaged ${small} can be cut anywhere`, async (t) => {
    const { disk, snapshots } = await make(parity, small);
    const whole = copyOf(disk);
    const start = whole.operations;
    const expected = await repair(whole, 2);
    assert.equal(expected.length > 0, parity === 0, String(expected));
    const count = whole.operations - start;
    for (let at = 1; at <= count; at += 1) {
      const cut = copyOf(disk);
      const before = cut.operations;
      cut.fault = ({ number }) => (number - before >= at ? new PowerCut() : undefined);
      await repair(cut, 2).then(() => assert.ok(at >= count - 3, `operation ${at} of ${count} failed and nobody noticed`), () => undefined);
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const where = `cut at operation ${at} of ${count}, seed ${seed}`;
        const after = cut.afterPowerCut(at * 1_000 + seed);
        assert.deepEqual(await repair(after, 50), expected, where);
        if (at % 4 === 0) assert.deepEqual(await repair(after, 60), expected, `${where}: once more`);
        if (at % 4 === 2) await storeAgain(after, snapshots);
      }
    }
    t.diagnostic(`${count} operations, ${SEEDS} outcome of each`);
  });
}
