/** What all parts of an open volume share: its bytes, its geometry, its table of records, and what was found to be wrong. */
import { type BlockSource, HoldfastError, type Limits, type TreeProblem } from '../../../core/index.ts';
import type { Geometry } from './boot.ts';
import type { MasterFileTable } from './mft.ts';
import type { UpcaseTable } from './upcase.ts';

const PROBLEMS_MAX = 1_000;

/** Bytes and geometry: enough to read clusters. */
export interface ClusterSpace {
  readonly source: BlockSource;
  readonly geometry: Geometry;
  readonly limits: Limits;
}

/** An open volume. */
export interface Volume extends ClusterSpace {
  readonly mft: MasterFileTable;
  readonly upcase: UpcaseTable;
  readonly problems: Problems;
}

/** Damage met so far: bounded, each once. */
export class Problems {
  readonly #found = new Map<string, TreeProblem>();

  /** Notes one. */
  add(kind: string, where: string, message: string): void {
    if (this.#found.size < PROBLEMS_MAX) this.#found.set(`${kind} ${where} ${message}`, { kind, where, message });
  }

  /** Notes an error that someone met and went on. @throws {unknown} what is no error of ours. */
  note(where: string, error: unknown): void {
    if (!(error instanceof HoldfastError)) throw error;
    this.add('unreadable', where, error.message);
  }

  /** All of them. */
  list(): readonly TreeProblem[] {
    return [...this.#found.values()];
  }
}
