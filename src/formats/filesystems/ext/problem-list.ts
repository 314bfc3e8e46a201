/** Damage that was met: what a caller can list, bounded. */
import type { HoldfastError, TreeProblem } from '../../../core/index.ts';

const PROBLEMS_MAX = 1000;

/** Collects problems; each once. */
export class ProblemList {
  readonly #problems = new Map<string, TreeProblem>();

  add(kind: string, where: string, error: HoldfastError | string): void {
    const message = typeof error === 'string' ? error : error.message;
    const key = `${kind} ${where} ${message}`;
    if (this.#problems.size < PROBLEMS_MAX || this.#problems.has(key)) this.#problems.set(key, { kind, where, message });
  }

  get all(): readonly TreeProblem[] {
    return [...this.#problems.values()];
  }
}
