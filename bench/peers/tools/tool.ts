/** What the harness knows of a backup tool: which commands to run. It never looks inside a repository. */
import { execFileSync } from 'node:child_process';
import type { Command } from '../measure.ts';

/** Tools are compared within a class only. `limit` rows are bounds of the machine (copy, read, hash), not peers. */
export type CompressionClass = 'none' | 'zstd' | 'limit';

/** Directories a tool may write to: all on the medium under test, empty at the start of a round. */
export interface Place {
  /** What counts as stored. It does not exist before `init`. */
  readonly repo: string;
  /** Caches and HOME: free for the tool to use, not counted as stored. Exists. */
  readonly cache: string;
}

/** One tool with one set of settings. */
export interface Tool {
  /** Unique, for `--tools` and the table. */
  readonly name: string;
  /** Groups settings of the same program: 'borg', 'restic' … */
  readonly family: string;
  readonly class: CompressionClass;
  /** Compression as the tool names it. */
  readonly codec: string;
  /** What a reader must know to compare fairly: chunking, encryption, which syncs it does. */
  readonly note: string;
  /** Not in the default set: runs only when `--tools` names it. */
  readonly onRequest?: boolean;
  /** Version text, or undefined when the program is not installed. */
  version(): string | undefined;
  init(place: Place): readonly Command[];
  /** Backs up the directory `source`; `sequence` counts up from 0 within one repository. */
  backup(place: Place, source: string, sequence: number): readonly Command[];
  /** Restores backup number `sequence`, the latest, to the empty directory `target`; undefined when the tool cannot. */
  restore?(place: Place, sequence: number, target: string): readonly Command[];
  /** The same with the tool's own check of what it wrote, where that is an option. */
  restoreVerified?(place: Place, sequence: number, target: string): readonly Command[];
}

/** Environment of every command: nothing of the caller's but PATH. */
export function environment(place: Place, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: place.cache, TMPDIR: place.cache, ...extra };
}

/** First line that a version command prints to either stream, or undefined when the program cannot be started. */
export function firstLine(file: string, ...args: readonly string[]): string | undefined {
  try {
    return execFileSync(file, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim().split('\n')[0];
  } catch {
    return undefined;
  }
}
