/** The `holdfast` command as a test runs it: a separate process in a working directory of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The compiled entry point. */
export const mainPath: string = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** What a process did. */
export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A row of any list in any verb's object. */
export interface Item {
  readonly id: string;
  readonly path: string;
  readonly pathBase64?: string;
  readonly type: string;
  readonly target?: string;
  readonly kind: string;
  readonly where: string;
  readonly layer: string;
  readonly what: readonly string[];
}

/** All fields that any verb promises; a test asks only for those of its verb. */
export interface Reply {
  readonly id: string;
  readonly format: number;
  readonly snapshot: string;
  readonly files: number;
  readonly bytesIn: number;
  readonly bytesNew: number;
  readonly bytesStored: number;
  readonly chunksNew: number;
  readonly durable: boolean;
  readonly seconds: number;
  readonly verified: number;
  readonly skipped: number;
  readonly ok: boolean;
  readonly sha256: string;
  readonly contentBase64: string;
  readonly snapshots: readonly Item[];
  readonly entries: readonly Item[];
  readonly layers: readonly Item[];
  readonly problems: readonly Item[];
  readonly errors: readonly Item[];
  readonly added: readonly Item[];
  readonly removed: readonly Item[];
  readonly changed: readonly Item[];
  readonly error: { readonly code: string };
}

/** Runs commands in one directory. */
export interface Command {
  run(...words: readonly string[]): CommandResult;
  /** Adds `--json`, and checks the exit code and that stdout is exactly one object. */
  json(code: number, ...words: readonly string[]): Reply;
}

/** Commands that run in `directory`. */
export function commandIn(directory: string): Command {
  const run = (...words: readonly string[]): CommandResult => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [mainPath, ...words], { cwd: directory, encoding: 'utf8', maxBuffer: 1 << 26 });
    return { code: status, out: stdout, err: stderr };
  };
  return {
    run,
    json: (code, ...words) => {
      const result = run(...words, '--json');
      assert.equal(result.code, code, `${words.join(' ')}: ${result.err}`);
      return JSON.parse(result.out) as Reply;
    },
  };
}
