/** A set of container numbers that is asked for each chunk: no text is made for a question. */
import type { ContainerNumber } from './container.ts';

/** A set of 64-bit numbers given as two u32. */
export class NumberSet {
  readonly #lows = new Map<number, Set<number>>();
  size = 0;

  add(number: Pick<ContainerNumber, 'high' | 'low'>): void {
    const lows = this.#lows.get(number.high) ?? new Set<number>();
    if (lows.has(number.low)) return;
    this.#lows.set(number.high, lows.add(number.low));
    this.size += 1;
  }

  delete(number: Pick<ContainerNumber, 'high' | 'low'>): void {
    const lows = this.#lows.get(number.high);
    if (lows?.delete(number.low) !== true) return;
    this.size -= 1;
    if (lows.size === 0) this.#lows.delete(number.high);
  }

  /** In no order. */
  *all(): Iterable<{ readonly high: number; readonly low: number }> {
    for (const [high, lows] of this.#lows) for (const low of lows) yield { high, low };
  }

  has(high: number, low: number): boolean {
    return this.size > 0 && this.#lows.get(high)?.has(low) === true;
  }
}
