/** What a restore could not apply: kept in full up to a limit for each kind, counted beyond it. */
import type { SinkProblem } from '../../core/index.ts';

/** A target that refuses one attribute refuses it a million times: bounded memory, nothing uncounted. */
const KEPT_PER_KIND = 1000;

/** Collects problems; see `SinkProblem`. */
export class ProblemList {
  readonly #kept: SinkProblem[] = [];
  readonly #counts = new Map<string, number>();

  add(path: Uint8Array, what: string, message: string): void {
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    if (count <= KEPT_PER_KIND) this.#kept.push({ path: path.slice(), what, message });
  }

  /** All kept problems, then one line for each kind that had more. */
  all(): readonly SinkProblem[] {
    const more: SinkProblem[] = [];
    for (const [what, count] of this.#counts) {
      if (count > KEPT_PER_KIND) more.push({ path: new Uint8Array(0), what, message: `${count - KEPT_PER_KIND} more problems of this kind` });
    }
    return [...this.#kept, ...more];
  }
}
