/**
 * What must hold on a machine after anything happened to it, and what must work there: I1 to I6 of the engine's design. Each function opens
 * processes of its own and leaves none.
 */
import { Violation, promised, type Bench } from './bench.ts';
import { directoryNode, type MemoryNode } from '../../src/core/testing/memory-tree.ts';
import { files } from './content.ts';
import type { Repository } from './engine-types.ts';
import { assertNoLeftovers, assertSameIndex, readableChunks } from './invariants.ts';

async function openOrCreate(bench: Bench): Promise<Repository> {
  try {
    return await bench.open();
  } catch (error) {
    if (bench.ledger.exists || (error as { code?: string }).code !== 'NOT_FOUND') throw error;
    return bench.create();
  }
}

/** A check with data finds nothing, `rounds` times the same. */
async function assertSound(repository: Repository, rounds: number): Promise<void> {
  const texts: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const problems: string[] = [];
    const { problems: _, verifiedSince: __, times: ___, ok, ...counts } = await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { problems.push(`${kind} ${where}: ${message}`); } });
    if (!ok || problems.length > 0) throw new Violation('I5 check finds nothing', problems.join('; '));
    texts.push(JSON.stringify(counts));
  }
  if (texts.some((text) => text !== texts[0])) throw new Violation('I5 check is idempotent', texts.join(' then '));
}

/** The snapshots are exact, the check clean. */
async function assertIntact(bench: Bench, repository: Repository, rounds = 1): Promise<void> {
  await promised('I1 snapshots can be read', () => bench.verify(repository));
  await promised('I5 check runs', () => assertSound(repository, rounds));
}

/** All that is in a tree and something new; numbers that no workload uses. */
function further(root: MemoryNode | undefined, number: number): MemoryNode {
  return directoryNode({ ...Object.fromEntries(root?.children ?? []), ...Object.fromEntries(files(number).children ?? []) });
}

/** What nobody was told of is asked for again; then it must be so. */
async function forgetAgain(bench: Bench, repository: Repository): Promise<void> {
  for (const id of [...bench.ledger.asked].filter((one) => !bench.ledger.forgotten.has(one))) {
    await promised('I6 forget works again', () => bench.forget(repository, [id]).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'NOT_FOUND') throw error; // it went already
      bench.ledger.forgotten.add(id);
    }));
  }
}

/** Only a backup of what the last one had, which may be stored and not durable, and what was asked for before. Nothing else makes it durable then. */
export async function backUpOnly(bench: Bench): Promise<void> {
  const repository = await promised('I6 the repository opens', () => openOrCreate(bench));
  await forgetAgain(bench, repository);
  await promised('I6 the next backup works', () => bench.backUp(repository, further([...bench.ledger.attempts.values()].at(-1), 950), '/next'));
  await promised('I6 processes close', () => repository.close());
}

/**
 * A day in the life of the repository: a backup, a second process whose backup is under way while a snapshot with the same chunks is forgotten and
 * collected, the collection after it. Everything that was promised before and meanwhile must hold at each step.
 */
export async function goOn(bench: Bench, number = 900): Promise<void> {
  const repository = await promised('I6 the repository opens', () => openOrCreate(bench));
  await assertIntact(bench, repository);
  await promised('I2 the index is right', () => readableChunks(bench.machine, repository));
  await forgetAgain(bench, repository);
  const { required, acknowledged } = bench.ledger;
  const victim = await promised('I6 the next backup works', () => bench.backUp(repository, further(acknowledged.get(required[0] ?? ''), number), '/next'));
  const other = await promised('I6 a second process opens', () => bench.open());
  const held = bench.hold(other, further(acknowledged.get(victim), number + 1));
  await held.reached;
  try {
    await promised('I6 forget works', () => bench.forget(repository, [victim]));
    await promised('I6 gc works beside a backup', () => bench.collect(repository));
  } finally {
    held.release();
  }
  await promised('I6 a backup beside gc works', () => held.result);
  await promised('I6 the next gc works', () => bench.collect(repository));
  for (const one of [other, repository]) await promised('I3 gc removes nothing that is reachable', () => bench.verify(one));
  await promised('I6 processes close', async () => {
    await other.close();
    await repository.close();
  });
}

/** The last look: nothing is left over, a rebuilt index says the same, and without snapshots nothing stays. */
export async function assertEnd(bench: Bench): Promise<void> {
  const repository = await promised('I6 the repository opens', () => openOrCreate(bench));
  await promised('I1 snapshots can be read', () => bench.verify(repository));
  await promised('I6 gc works', () => bench.collect(repository));
  const live = await promised('I2 the index is right', () => readableChunks(bench.machine, repository));
  await promised('I6 processes close', () => repository.close());
  await assertNoLeftovers(bench.machine);
  await promised('I6 the index can be rebuilt', () => bench.rebuildIndex());
  const again = await promised('I6 the repository opens', () => bench.open());
  assertSameIndex(live, await promised('I4 the rebuilt index is right', () => readableChunks(bench.machine, again)));
  await assertIntact(bench, again, 2);
  const visible = await again.snapshots();
  await promised('I6 forget works', () => bench.forget(again, visible.map(({ id }) => id)));
  await promised('I6 gc works', () => bench.collect(again));
  const { containers } = await again.statistics();
  if (containers > 0) throw new Violation('no leak', `'${containers}' containers stay without a snapshot`);
  await promised('I6 processes close', () => again.close());
  await assertNoLeftovers(bench.machine);
}
