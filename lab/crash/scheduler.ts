/**
 * Lets one operation happen at a time, in an order that a seed says. All of an engine without threads runs between two turns of the event loop,
 * so at each turn everybody who can ask for an operation has asked.
 *
 * With an odd seed each turn is a lot among all who wait. With an even one processes have ranks, the highest goes first, and now and then one gets another
 * rank: then one process does much while another stands between two steps.
 */
import { seededRandom } from '../../src/core/testing/random.ts';

/** One turn in so many changes a rank. */
const TURNS_A_RANK = 24;

/** See the file's header. */
export class Scheduler {
  readonly #next: () => number;
  readonly #hasRanks: boolean;
  readonly #ranks = new Map<string, number>();
  readonly #waiting: { readonly who: string; go(): void }[] = [];
  #isRunning = false;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
    this.#hasRanks = seed % 2 === 0;
  }

  /** Resolves when it is the turn of process `who`. */
  turn(who: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ who, go: resolve });
      if (this.#isRunning) return;
      this.#isRunning = true;
      setImmediate(() => { this.#step(); });
    });
  }

  #step(): void {
    const [chosen] = this.#waiting.splice(this.#choose(), 1);
    chosen?.go();
    if (this.#waiting.length === 0) this.#isRunning = false;
    else setImmediate(() => { this.#step(); });
  }

  #choose(): number {
    const lot = this.#next();
    if (!this.#hasRanks) return Math.floor(lot * this.#waiting.length);
    let best = 0;
    let highest = -1;
    this.#waiting.forEach(({ who }, i) => {
      let rank = this.#ranks.get(who);
      if (rank === undefined) this.#ranks.set(who, rank = this.#next());
      if (rank > highest) [best, highest] = [i, rank];
    });
    if (lot * TURNS_A_RANK < 1) this.#ranks.set(this.#waiting[best]?.who ?? '', this.#next());
    return best;
  }
}
