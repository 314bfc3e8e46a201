/**
 * A process that uses a repository until it is told or made to stop: `node worker.js REPOSITORY JOURNALS NAME SEED SECONDS [full]`. Puts, gets, forgets, collects and
 * checks at random, opening anew now and then, and writes down what it was promised and whatever should not have happened. A file `stop` beside the journals ends it. With `full` a disk without space may be
 * the reason of a failure, if the error says so.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MemoryTree } from '../../src/core/testing/memory-tree.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import { md5Of, treeOf } from './content.ts';
import { Journal } from './journal.ts';

const [directory = '', journals = '', name = '', seedText = '0', seconds = '1', disk = ''] = process.argv.slice(2);
const journal = new Journal(journals, name);
const next = seededRandom(Number(seedText));
const below = (bound: number): number => Math.floor(next() * bound);

function isCode(error: unknown, code: string): boolean {
  return (error as { code?: string }).code === code;
}

/** Whether an error says that there was no space, where that may be. */
function isFull(error: unknown): boolean {
  return disk === 'full' && /\bENOSPC\b/.test((error as Error).message);
}

/** Writes down what failed: as it should, or not. */
function failed(what: string, error: unknown, id?: string): void {
  if (isFull(error)) journal.write({ step: 'done', what: `${what}, no space` });
  else journal.write({ step: 'trouble', what, message: String(error), ...(id === undefined ? {} : { id }) });
}

async function put(repository: Repository): Promise<void> {
  const seed = below(2 ** 31);
  const tree = new MemoryTree(treeOf(seed));
  const md5 = await md5Of(tree);
  journal.write({ step: 'begin', seed });
  const { snapshot } = await repository.backup(tree, { sources: [`/${below(4)}`], host: 'h', parent: 'auto', tags: [String(seed)] });
  journal.write({ step: 'saved', seed, id: snapshot, md5 });
}

async function pick(repository: Repository): Promise<{ readonly id: string; readonly seed: number } | undefined> {
  const all = await repository.snapshots();
  const one = all[below(all.length)];
  return one === undefined ? undefined : { id: one.id, seed: Number(one.tags[0]) };
}

async function get(repository: Repository): Promise<void> {
  const one = await pick(repository);
  if (one === undefined) return;
  try {
    const [found, expected] = [await md5Of(await repository.openSnapshot(one.id)), await md5Of(new MemoryTree(treeOf(one.seed)))];
    if (found !== expected) journal.write({ step: 'trouble', what: 'wrong bytes', message: `MD5 '${found}', expected '${expected}'`, id: one.id });
    journal.write({ step: 'done', what: 'get' });
  } catch (error) {
    failed('get', error, one.id);
  }
}

async function forget(repository: Repository): Promise<void> {
  const one = await pick(repository);
  if (one === undefined || (await repository.snapshots()).length < 12) return;
  journal.write({ step: 'ask', id: one.id });
  await repository.forget([one.id]).catch((error: unknown) => {
    if (!isCode(error, 'NOT_FOUND')) throw error; // another process was first
  });
  journal.write({ step: 'forgotten', id: one.id });
}

async function check(repository: Repository): Promise<void> {
  await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { journal.write({ step: 'trouble', what: 'check', message: `${kind} ${where}: ${message}` }); } });
  journal.write({ step: 'done', what: 'check' });
}

async function collect(repository: Repository): Promise<void> {
  await repository.collect({ maxUnused: below(3) / 2 });
  journal.write({ step: 'done', what: 'gc' });
}

const actions: readonly (readonly [string, number, (repository: Repository) => Promise<void>])[] = [['put', 5, put], ['get', 4, get], ['forget', 4, forget], ['gc', 2, collect], ['check', 1, check]];

async function step(repository: Repository): Promise<void> {
  let dice = below(actions.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [what, weight, run] of actions) {
    dice -= weight;
    if (dice >= 0) continue;
    await run(repository).catch((error: unknown) => {
      if (isCode(error, 'BUSY')) journal.write({ step: 'done', what: `${what}, others were first` });
      else failed(what, error);
    });
    return;
  }
}

async function main(): Promise<void> {
  const end = performance.now() + Number(seconds) * 1000;
  const isTime = (): boolean => performance.now() < end && !existsSync(path.join(journals, 'stop'));
  while (isTime()) {
    let repository: Repository;
    try {
      repository = await Repository.open(nodeWorld(directory), { mode: 'write', index: 'log', workers: 0 });
    } catch (error) {
      failed('open', error);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
      continue;
    }
    for (let i = 2 + below(8); i > 0 && isTime(); i -= 1) await step(repository);
    await repository.close().catch((error: unknown) => { failed('close', error); });
  }
}

await main();
