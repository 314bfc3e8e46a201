/** Damage that was met while reading: each once, and not more than people would read. */
import { HoldfastError, type TreeProblem } from '../../core/index.ts';

const PROBLEMS_MAX = 1_000;

/** The list of one filesystem. */
export class ProblemList {
  readonly #problems = new Map<string, TreeProblem>();

  /** Notes a problem, unless it is known or the list is full. One place may have several, with a message each: names in a directory, say. */
  add(kind: string, where: string, message: string): void {
    const key = `${kind} ${where} ${message}`;
    if (this.#problems.size < PROBLEMS_MAX && !this.#problems.has(key)) this.#problems.set(key, { kind, where, message });
  }

  /** Notes an error that someone met and went on. @throws {unknown} what is no error of ours. */
  note(where: string, error: unknown): void {
    if (!(error instanceof HoldfastError)) throw error;
    this.add('unreadable', where, error.message);
  }

  /** All so far, the oldest first. */
  get all(): readonly TreeProblem[] {
    return [...this.#problems.values()];
  }
}
