/** One cycle: change the corpus, back it up twice, restore and compare, forget, collect garbage, check, and write down what was seen. */
import * as fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../src/core/testing/random.ts';
import { corpora } from './corpus.ts';
import { compareDirectory, expectedOf, readExpected, writeExpected } from './expected.ts';
import type { CycleRecord, RestoreRecord, Settings } from './journal.ts';
import type { LiveDirectory } from './live-directory.ts';
import { dataBytesOf, uniqueBytes } from './piece.ts';
import { keptBy } from './policy.ts';
import type { ListedSnapshot, SoakStore } from './store.ts';
import type { Corpus } from './workshop.ts';

/** Directories of a run. The tables of expected digests lie beside the repository, never in it. */
export interface Places {
  readonly repository: string;
  readonly corpus: string;
  readonly expected: string;
  readonly target: string;
}

/** What a cycle works with. */
export interface CycleParts {
  readonly settings: Settings;
  readonly places: Places;
  readonly store: SoakStore;
  readonly live: LiveDirectory;
  /** States by cycle: at least those that snapshots hold. */
  readonly states: Map<number, Corpus>;
}

/** Reads every byte of the store in one of so many cycles; the others look at structure and existence. */
const READ_DATA_EVERY = 5;

function tagOf(cycle: number): string {
  return `cycle-${cycle}`;
}

/** Cycle of a snapshot. */
function cycleOf(snapshot: ListedSnapshot): number {
  return Number(/^cycle-(\d+)$/.exec(snapshot.tags[0] ?? '')?.[1]);
}

/** Bytes of files below a directory, and how many there are in the folders of writers under way. */
function measureStore(root: string): { readonly bytes: number; readonly leftovers: number } {
  let [bytes, leftovers] = [0, 0];
  for (const name of fs.readdirSync(root, { recursive: true }).map(String)) {
    const stat = fs.lstatSync(path.join(root, name));
    if (!stat.isFile()) continue;
    bytes += stat.size;
    if (/^(?:temporary|sessions)\//.test(name)) leftovers += 1;
  }
  return { bytes, leftovers };
}

class Cycle {
  readonly #parts: CycleParts;
  readonly #state: Corpus;
  readonly #last: boolean;

  constructor(parts: CycleParts, state: Corpus, last: boolean) {
    this.#parts = parts;
    this.#state = state;
    this.#last = last;
  }

  async run(): Promise<CycleRecord> {
    const { settings, places, store, live, states } = this.#parts;
    const { cycle } = this.#state;
    const timeMs = store.now();
    states.set(cycle, this.#state);
    writeExpected(this.#table(cycle), expectedOf(this.#state));
    live.become(this.#state);
    const changed = await store.backup(places.corpus, tagOf(cycle), false);
    const unchanged = await store.backup(places.corpus, tagOf(cycle), true);
    const restores = [await this.#restore(changed.snapshot, cycle)];
    const forgotten = await this.#forget();
    const kept = await store.snapshots();
    this.#dropStates(kept);
    const bytesReclaimed = await store.gc();
    for (const one of this.#chosen(kept)) restores.push(await this.#restore(one.id, cycleOf(one)));
    const readData = this.#last || cycle % READ_DATA_EVERY === 0;
    const problems = await store.check(readData);
    const measured = measureStore(places.repository);
    return {
      cycle, timeMs, realMs: Date.now(),
      corpusBytes: this.#state.files.reduce((sum, file) => sum + dataBytesOf(file.pieces), 0), changedBytes: this.#state.changedBytes,
      changed: { bytesIn: changed.bytesIn, bytesNew: changed.bytesNew, bytesStored: changed.bytesStored, chunksNew: changed.chunksNew },
      unchanged: { bytesIn: unchanged.bytesIn, bytesNew: unchanged.bytesNew, chunks: unchanged.chunks, chunksNew: unchanged.chunksNew },
      restores, snapshots: kept.length, ...forgotten, bytesReclaimed,
      problems, readData, storeBytes: measured.bytes, leftovers: measured.leftovers,
      uniqueBytes: uniqueBytes([...states.values()].flatMap((state) => state.files.map((file) => file.pieces))),
      ...(settings.mode === 'simulated' ? { openFiles: fs.readdirSync('/proc/self/fd').length } : {}),
      costs: store.takeCosts(),
    };
  }

  #table(cycle: number): string {
    return path.join(this.#parts.places.expected, `${cycle}.jsonl`);
  }

  async #restore(snapshot: string, of: number): Promise<RestoreRecord> {
    const { places, store } = this.#parts;
    fs.rmSync(places.target, { recursive: true, force: true });
    await store.restore(snapshot, places.corpus, places.target);
    return { of, ...compareDirectory(places.target, readExpected(this.#table(of))) };
  }

  /** What garbage collection must not have touched: one of the snapshots that are kept, another in each cycle; all of them in the last. */
  #chosen(kept: readonly ListedSnapshot[]): readonly ListedSnapshot[] {
    if (this.#last) return kept;
    const next = seededRandom(this.#parts.settings.seed ^ this.#state.cycle);
    return kept.slice(Math.floor(next() * kept.length)).slice(0, 1);
  }

  async #forget(): Promise<{ readonly wronglyKept: number; readonly wronglyForgotten: number }> {
    const { settings, store } = this.#parts;
    const before = await store.snapshots();
    const wish = keptBy(settings.policy, before);
    await store.forget(settings.policy);
    const after = new Set((await store.snapshots()).map((one) => one.id));
    return {
      wronglyKept: before.filter(({ id }) => after.has(id) && !wish.has(id)).length,
      wronglyForgotten: before.filter(({ id }) => !after.has(id) && wish.has(id)).length,
    };
  }

  #dropStates(kept: readonly ListedSnapshot[]): void {
    const needed = new Set(kept.map(cycleOf));
    for (const cycle of this.#parts.states.keys()) {
      if (needed.has(cycle)) continue;
      this.#parts.states.delete(cycle);
      fs.rmSync(this.#table(cycle), { force: true });
    }
  }
}

/** Runs the cycle of a state; the last one looks at everything. @throws what a step throws: then nothing was recorded and the cycle can be repeated. */
export function runCycle(parts: CycleParts, state: Corpus, last: boolean): Promise<CycleRecord> {
  return new Cycle(parts, state, last).run();
}

/** The states that snapshots of an interrupted run hold, by cycle, made again from the seed. */
export async function statesOf(store: SoakStore, settings: Settings): Promise<Map<number, Corpus>> {
  const needed = new Set((await store.snapshots()).map(cycleOf));
  store.takeCosts();
  return new Map([...corpora(settings.seed, settings.corpusMebibytes, Math.max(0, ...needed))].filter((state) => needed.has(state.cycle)).map((state) => [state.cycle, state]));
}
