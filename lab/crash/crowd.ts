/**
 * Scenario: several processes put, get, forget, collect and check one repository at random on a simulated machine where nothing fails. One disk operation happens at
 * a time, in an order that a seed says: races that real processes meet once in an hour are met in seconds, and again. Any alarm is a failure, and so is any loss.
 */
import { seededRandom } from '../../src/core/testing/random.ts';
import { Checks } from '../checks.ts';
import type { Scenario } from '../scenario.ts';
import { Bench, Ledger, Violation, promised } from './bench.ts';
import { files } from './content.ts';
import type { Repository } from './engine-types.ts';
import { loadEngine, type Engine } from './engine.ts';
import { Machine } from './machine.ts';
import { assertEnd } from './recovery.ts';

/** Rounds of the scenario, each with an order of its own. */
const ROUNDS = 40;
const PROCESSES = 6;
/** Steps of each process. */
const STEPS = 14;
/** Files that trees are made of: few, so that processes share chunks and collectors always have something to do. */
const POOL = 14;
/** Snapshots that stay. */
const KEPT = 5;

/** What happened in a round. */
export interface Found {
  /** Steps by name. */
  readonly steps: Map<string, number>;
  /** What should not be: `what: message`. */
  readonly alarms: string[];
}

/** One process after the other in a lane of its own. */
class Lane {
  readonly #bench: Bench;
  readonly #next: () => number;
  readonly #crowd: Found;

  constructor(bench: Bench, seed: number, crowd: Found) {
    this.#bench = bench;
    this.#next = seededRandom(seed);
    this.#crowd = crowd;
  }

  async run(): Promise<void> {
    for (let left = STEPS; left > 0;) {
      let repository: Repository;
      try {
        repository = await this.#bench.open();
      } catch (error) {
        this.#alarm('open', error);
        left -= 1;
        continue;
      }
      for (let i = 1 + this.#below(6); i > 0 && left > 0; i -= 1, left -= 1) await this.#step(repository);
      await repository.close().catch((error: unknown) => { this.#alarm('close', error); });
    }
  }

  #below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  #alarm(what: string, error: unknown): void {
    this.#crowd.alarms.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  #count(what: string): void {
    this.#crowd.steps.set(what, (this.#crowd.steps.get(what) ?? 0) + 1);
  }

  async #step(repository: Repository): Promise<void> {
    const dice = this.#below(16);
    const [what, run] = dice < 5 ? ['put', () => this.#put(repository)] as const
      : dice < 8 ? ['get', () => this.#get(repository)] as const
        : dice < 11 ? ['forget', () => this.#forget(repository)] as const
          : dice < 14 ? ['gc', () => this.#bench.collect(repository, { maxUnused: this.#below(3) / 2 })] as const
            : ['check', () => this.#check(repository)] as const;
    try {
      await run();
      this.#count(what);
    } catch (error) {
      if ((error as { code?: string }).code === 'BUSY') this.#count(`${what}, others were first`);
      else this.#alarm(what, error);
    }
  }

  async #put(repository: Repository): Promise<void> {
    const numbers = new Set(Array.from({ length: 1 + this.#below(5) }, () => this.#below(POOL)));
    await this.#bench.backUp(repository, files(...numbers), `/${this.#below(3)}`);
  }

  /** A snapshot of which somebody wanted to be rid may go while it is read. */
  async #get(repository: Repository): Promise<void> {
    const { ledger } = this.#bench;
    const id = ledger.required[this.#below(ledger.required.length)];
    const root = ledger.acknowledged.get(id ?? '');
    if (id === undefined || root === undefined) return;
    await this.#bench.restore(repository, id, root).catch((error: unknown) => {
      if (error instanceof Violation || !ledger.asked.has(id)) throw error;
    });
  }

  async #forget(repository: Repository): Promise<void> {
    const { required } = this.#bench.ledger;
    if (required.length > KEPT) await this.#bench.forget(repository, [required[this.#below(required.length)] as string]);
  }

  async #check(repository: Repository): Promise<void> {
    await repository.check({ readData: this.#below(2) === 0, onProblem: ({ kind, where, message }) => { this.#alarm('check', `${kind} ${where}: ${message}`); } });
  }
}

/** One round, repeatable by its seed. @throws {Violation} something was lost. */
export async function crowd(engine: Engine, seed: number): Promise<Found> {
  const start = new Bench(new Machine(engine), new Ledger());
  await (await start.create()).close();
  const bench = start.on(start.machine.survivor());
  bench.machine.interleave(seed);
  const found: Found = { steps: new Map(), alarms: [] };
  await Promise.all(Array.from({ length: PROCESSES }, (_, i) => new Lane(bench, seed * 100 + i, found).run()));
  await promised('nothing was lost', () => assertEnd(bench.on(bench.machine.survivor())));
  return found;
}

/** Many rounds. */
export const crashCrowd: Scenario = {
  name: 'crowd-simulated',
  needs: [],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const engine = await loadEngine();
    const steps = new Map<string, number>();
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        const seed = context.seed % 1_000_000 + round;
        const replay = `; repeat with HOLDFAST_SEED=${seed}`;
        try {
          const found = await crowd(engine, seed);
          for (const [what, count] of found.steps) steps.set(what, (steps.get(what) ?? 0) + count);
          checks.expect(`round ${round + 1} ends without an alarm`, found.alarms.length === 0, found.alarms.slice(0, 3).join(' | ') + replay);
        } catch (error) {
          checks.expect(`round ${round + 1} loses nothing`, false, String(error) + replay);
        }
      }
    } finally {
      engine.dispose();
    }
    context.log([...steps].map(([what, count]) => `${count} ${what}`).join(', '));
    return checks.tally;
  },
};
