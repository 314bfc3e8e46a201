/**
 * Lets one operation happen at a time, in an order that a seed says. All of an engine without threads runs between two turns of the event loop,
 * so at each turn everybody who can ask for an operation has asked.
 */
import { seededRandom } from '../../src/core/testing/random.ts';

/** See the file's header. */
export class Scheduler {
  readonly #next: () => number;
  readonly #waiting: (() => void)[] = [];
  #isRunning = false;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  /** Resolves when it is the caller's turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isRunning) return;
      this.#isRunning = true;
      setImmediate(() => { this.#step(); });
    });
  }

  #step(): void {
    const [chosen] = this.#waiting.splice(Math.floor(this.#next() * this.#waiting.length), 1);
    chosen?.();
    if (this.#waiting.length === 0) this.#isRunning = false;
    else setImmediate(() => { this.#step(); });
  }
}
