/** Damage that was met while reading: each place once, and not more than people would read. */
import type { TreeProblem } from '../../../core/index.ts';

const PROBLEMS_MAX = 1000;

/** The list of one filesystem. */
export class ProblemList {
  readonly #problems: TreeProblem[] = [];
  readonly #places = new Set<string>();

  /** Adds one, unless this kind of damage is known in this place or the list is full. */
  add(problem: TreeProblem): void {
    const key = `${problem.kind} ${problem.where}`;
    if (this.#problems.length >= PROBLEMS_MAX || this.#places.has(key)) return;
    this.#places.add(key);
    this.#problems.push(problem);
  }

  /** All so far, the oldest first; grows later. */
  get all(): readonly TreeProblem[] {
    return this.#problems;
  }
}
