/** What each verb gets besides its own arguments, and what it hands back. */
import type { OpenOptions } from '../locations/index.ts';
import type { NamedKey } from '../locations/key-remarks.ts';
import type { Failures } from './failures.ts';
import type { Progress } from './progress.ts';

/** Exit codes of the contract: done and verified, failed, finished with some entries failed. Usage errors (2) are thrown. */
export type ExitCode = 0 | 1 | 3;

/** Options that every verb has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly key?: readonly string[];
  readonly keyCmd?: string;
  readonly cacheDir?: string;
  readonly wireKey?: string;
  readonly mapUser?: readonly string[];
  readonly mapGroup?: readonly string[];
}

/** What the command line gives a verb. */
export interface Context {
  readonly json: boolean;
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** What `--key` and `--key-cmd` gave. */
  readonly keys: readonly NamedKey[];
  /** What `--cache-dir` gave: where caches of buckets and daemons are. */
  readonly cacheDirectory: string | undefined;
  /** What `--wire-key` gave: the key for places behind a daemon. */
  readonly wireKey: string | undefined;
  /** Keys, signal, notes and caches for opening locations. */
  readonly opening: OpenOptions;
  /** A line for people on stdout; nothing with `--json`. */
  print(line: string): void;
  /** A line on stderr, unless `--quiet`. */
  note(line: string): void;
  /** A line on stderr, always. */
  warn(line: string): void;
  /** Where failed entries go; the verb calls its `finish`. */
  readonly failures: Failures;
}

/** What a verb did. `result` is the JSON object; undefined when the verb has written its own output. */
export interface Outcome {
  readonly exitCode: ExitCode;
  readonly result?: object;
}
