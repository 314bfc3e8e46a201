/** What a soak does to a store, whether through processes of the command line or through the library in this process. */

/** Time and memory of one step. */
export interface StepCost {
  readonly verb: string;
  readonly seconds: number;
  /** Largest resident memory of the process that did it, bytes of 1. */
  readonly rssBytes: number;
  /** What this process kept after the step when all garbage was collected: heap, buffers and shared memory. Only where steps share a process. */
  readonly keptBytes?: number;
}

/** Figures of a backup, as the engine reports them. */
export interface BackupFigures {
  /** Id of the snapshot. */
  readonly snapshot: string;
  readonly files: number;
  readonly bytesIn: number;
  /** Before compression. */
  readonly bytesNew: number;
  readonly bytesStored: number;
  readonly chunks: number;
  readonly chunksNew: number;
}

/** A snapshot in the store's list. */
export interface ListedSnapshot {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly tags: readonly string[];
}

/** What to keep: numbers of snapshots, hours, days, …; 0 is no rule. */
export interface Policy {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

/** Works on one repository. Each call opens it and closes it again, as an administrator's jobs would. A step that fails throws. */
export interface SoakStore {
  /** Milliseconds since 1970 by the clock that the store sees. */
  now(): number;
  init(): Promise<void>;
  /** Complete or an error. `rereadAll` compares with no earlier snapshot, so that every byte passes through chunking. */
  backup(source: string, tag: string, rereadAll: boolean): Promise<BackupFigures>;
  restore(snapshot: string, source: string, target: string): Promise<void>;
  snapshots(): Promise<readonly ListedSnapshot[]>;
  forget(policy: Policy): Promise<void>;
  /** @returns bytes that came free. */
  gc(): Promise<number>;
  /** @returns problems, each as a line. */
  check(readData: boolean): Promise<readonly string[]>;
  /** Costs of the steps since the last call. */
  takeCosts(): readonly StepCost[];
}
