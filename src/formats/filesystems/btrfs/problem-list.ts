/** Damage met while reading: each place once, and not without bound. */
import type { TreeProblem } from '../../../core/index.ts';

const PROBLEMS_MAX = 1_000;

/** The list. */
export class ProblemList {
  readonly #problems = new Map<string, TreeProblem>();

  /** Notes a problem, unless its place is known or the list is full. */
  add(kind: string, where: string, message: string): void {
    const key = `${kind} ${where}`;
    if (this.#problems.size < PROBLEMS_MAX && !this.#problems.has(key)) this.#problems.set(key, { kind, where, message });
  }

  /** All so far, the oldest first. */
  all(): readonly TreeProblem[] {
    return [...this.#problems.values()];
  }
}
