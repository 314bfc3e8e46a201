/**
 * What happened on this client during one job of Bacula's, in files below the directory `state`. Bacula tells a reader neither its job nor asks why it
 * failed; so `begin` names the job, each reader leaves its receipt or what went wrong there, and `confirm` reads them.
 * Whatever is lost here makes `confirm` fail, never succeed: nothing is synced.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { NotFoundError, ToolError, UsageError } from '../../src/core/index.ts';
import { makeDirectories } from '../../src/engine/index.ts';

const RECEIPT = '.receipt';
const FAILURE = '.failure';
const CURRENT = 'current';
const JOB_NAME_MAX = 200;

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** The notes of one job. */
export class JobNotes {
  readonly job: string;
  readonly #directory: string;

  constructor(job: string, directory: string) {
    this.job = job;
    this.#directory = directory;
  }

  /** Adds a receipt after Bacula took all of it. */
  receipt(bytes: Uint8Array): void {
    this.#put(RECEIPT, bytes);
  }

  /** Adds why a reader failed. */
  failure(message: string): void {
    this.#put(FAILURE, `${message}\n`);
  }

  receipts(): readonly Uint8Array[] {
    return this.#all(RECEIPT).map((bytes) => new Uint8Array(bytes));
  }

  failures(): readonly string[] {
    return this.#all(FAILURE).map((bytes) => bytes.toString().trim());
  }

  #all(end: string): readonly Buffer[] {
    return readdirSync(this.#directory).filter((name) => name.endsWith(end)).sort().map((name) => readFileSync(path.join(this.#directory, name)));
  }

  /** Never half: under another name first. A job that is over has no directory any more, and gets no notes. */
  #put(end: string, content: Uint8Array | string): void {
    const name = path.join(this.#directory, randomBytes(8).toString('hex'));
    try {
      writeFileSync(name, content, { mode: 0o600 });
      renameSync(name, `${name}${end}`);
    } catch (error) {
      if (!isAbsent(error)) throw new ToolError(`Note in '${this.#directory}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, {}, error);
    }
  }
}

/** One job at a time writes here: jobs that overlap need settings with different `state`. */
export class Ledger {
  readonly #state: string;

  constructor(state: string) {
    this.#state = state;
  }

  /** Makes a job the current one; what earlier ones left is removed. @throws {ToolError} */
  begin(job: string): void {
    if (job === '' || job.length > JOB_NAME_MAX) throw new UsageError(`Begin job '${job}': its name must have 1 to ${JOB_NAME_MAX} characters`);
    try {
      makeDirectories(this.#state);
      for (const name of readdirSync(this.#state)) if (name === CURRENT || name.startsWith('job-')) rmSync(path.join(this.#state, name), { recursive: true });
      mkdirSync(this.#directory(job), { mode: 0o700 });
      const file = path.join(this.#state, CURRENT);
      writeFileSync(`${file}.new`, job, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      throw new ToolError(`Begin job '${job}' in '${this.#state}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, {}, error);
    }
  }

  /** The job that is under way; undefined where nobody called `begin`. */
  current(): JobNotes | undefined {
    try {
      const job = readFileSync(path.join(this.#state, CURRENT), 'utf8');
      return new JobNotes(job, this.#directory(job));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw new ToolError(`Read '${path.join(this.#state, CURRENT)}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, {}, error);
    }
  }

  /** The notes of the current job if it is this one. @throws {NotFoundError} it is another or none. */
  of(job: string): JobNotes {
    const notes = this.current();
    if (notes?.job !== job) throw new NotFoundError(`Confirm job '${job}': '${this.#state}' is of ${notes === undefined ? 'no job' : `job '${notes.job}'`}: is 'begin' run before the job, and no other job with the same settings beside it?`);
    return notes;
  }

  #directory(job: string): string {
    return path.join(this.#state, `job-${createHash('sha256').update(job).digest('hex').slice(0, 32)}`);
  }
}
