/** What can be wrong with a volume set, named with its place. The kinds are described in `docs/bacula-volumes.md`. */

/** Kinds of problems; stable, they are part of the command line's output. */
export type VolumeProblemKind =
  | 'bad-checksum' | 'bad-block-id' | 'bad-block-length' | 'bad-block-options' | 'zeroed-block' | 'checksum-missing'
  | 'truncated-block' | 'truncated-header' | 'trailing-garbage' | 'bad-label'
  | 'missing-blocks' | 'duplicate-block' | 'block-order' | 'duplicate-volume' | 'volume-order' | 'missing-volume'
  | 'missing-start-of-session' | 'missing-end-of-session' | 'no-jobs' | 'end-count-differs' | 'job-not-ok'
  | 'record-continuity' | 'orphan-record' | 'bad-record' | 'bad-attributes' | 'bad-path' | 'duplicate-path'
  | 'damaged-file' | 'size-differs' | 'missing-data' | 'missing-base' | 'mixed-streams' | 'duplicate-stream' | 'missing-link-target'
  | 'unknown-stream' | 'unsupported-stream' | 'stream-not-applied' | 'digest-mismatch' | 'signature-mismatch' | 'unreadable-file' | 'more-problems';

/** One problem. `volume` is the name under which the source was given. */
export interface VolumeProblem {
  readonly kind: VolumeProblemKind;
  readonly volume: string;
  /** BlockNumber in the block's head. */
  readonly block?: number;
  /** Bytes from the start of the volume. */
  readonly offset?: number;
  /** The session that it concerns, where it concerns one. */
  readonly session?: { readonly id: number; readonly time: number };
  /** The session's job, where its label was read. */
  readonly jobId?: number;
  readonly message: string;
}

/** Where damage was met; what an IntegrityError about lost data names. */
export interface DamagePlace {
  readonly volume: string;
  readonly block: number;
  readonly offset: number;
  readonly message: string;
}

const PROBLEMS_MAX = 10_000;

/** Problems in the order they were found, capped so that hostile input cannot fill memory; the rest is counted. */
export class ProblemList {
  #problems: VolumeProblem[] = [];
  readonly #counted = new Map<string, { problem: VolumeProblem; count: number }>();
  #dropped = 0;

  add(problem: VolumeProblem): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
    else this.#dropped += 1;
  }

  /** Keeps the first problem of a `key` and counts the rest: for what a whole job can be full of. */
  addCounted(key: string, problem: VolumeProblem): void {
    const known = this.#counted.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#counted.size < PROBLEMS_MAX) this.#counted.set(key, { problem, count: 1 });
    else this.#dropped += 1;
  }

  /** Forgets what was found of a session, which is read once more. Of what was not kept for lack of room, nothing is known. */
  forget({ id, time }: { readonly id: number; readonly time: number }): void {
    const concerns = ({ session }: VolumeProblem): boolean => session?.id === id && session.time === time;
    this.#problems = this.#problems.filter((problem) => !concerns(problem));
    for (const [key, { problem }] of this.#counted) if (concerns(problem)) this.#counted.delete(key);
  }

  /** All problems; counted ones say how many there are. */
  list(): readonly VolumeProblem[] {
    const all = [...this.#problems];
    for (const { problem, count } of this.#counted.values()) {
      all.push(count === 1 ? problem : { ...problem, message: `${problem.message} (the first of ${count})` });
    }
    if (this.#dropped > 0) all.push({ kind: 'more-problems', volume: '', message: `Read volumes: '${this.#dropped}' more problems were not kept` });
    return all;
  }
}
