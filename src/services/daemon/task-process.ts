/**
 * One background task as a process of its own, at the lowest priority: whatever it takes, the daemon's memory stays bounded and its clients go first. On
 * Linux a low priority of the processor is one of the disk too, where the scheduler knows any.
 */
import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { TaskProgress } from './metrics/maintenance.ts';

/** Of stdout, which is one JSON object. */
const OUTPUT_CHARACTERS_MAX = 16 << 20;
const LAST_LINES = 20;

/** A command line, and who hears of it. */
export interface TaskCommand {
  /** Program and arguments. */
  readonly words: readonly string[];
  /** Asks the process to stop: SIGTERM. */
  readonly signal: AbortSignal;
  onProgress(progress: TaskProgress & { readonly phase: string }): void;
}

/** How the process ended. */
export interface TaskEnd {
  /** Exit code, or 128 when a signal ended it. */
  readonly code: number;
  /** The object on stdout; undefined when there is none. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
  /** The last lines on stderr that are no progress. */
  readonly messages: readonly string[];
  readonly seconds: number;
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

/** Progress in a line of stderr; see `HOLDFAST_PROGRESS` in `docs/cli.md`. */
export function progressIn(line: string): (TaskProgress & { readonly phase: string }) | undefined {
  const { progress } = line.startsWith('{"progress":') ? parsed(line) ?? {} : {};
  if (typeof progress !== 'object' || progress === null) return undefined;
  const { files, totalFiles, unit } = progress as Readonly<Record<string, unknown>>;
  if (typeof files !== 'number') return undefined;
  return { done: files, total: typeof totalFiles === 'number' ? totalFiles : undefined, phase: typeof unit === 'string' ? unit : '' };
}

/** Runs a task to its end; never rejects: a program that can't be started ends with code 127. */
export function runTask({ words, signal, onProgress }: TaskCommand): Promise<TaskEnd> {
  const [program = '', ...parameters] = words;
  const begun = process.hrtime.bigint();
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOLDFAST_PROGRESS: 'json' } });
  if (child.pid !== undefined) setLowest(child.pid);
  let output = '';
  const messages: string[] = [];
  const stop = (): void => { child.kill('SIGTERM'); };
  signal.addEventListener('abort', stop, { once: true });
  child.stdout.setEncoding('utf8').on('data', (text: string) => { if (output.length < OUTPUT_CHARACTERS_MAX) output += text; });
  createInterface({ input: child.stderr }).on('line', (line) => {
    const progress = progressIn(line);
    if (progress !== undefined) onProgress(progress);
    else messages.push(...messages.splice(0).slice(-LAST_LINES + 1), line);
  });
  return new Promise((resolve) => {
    const end = (code: number): void => {
      signal.removeEventListener('abort', stop);
      resolve({ code, result: parsed(output), messages, seconds: Number(process.hrtime.bigint() - begun) / 1e9 });
    };
    child.on('error', (error) => {
      messages.push(error.message);
      end(127);
    });
    child.on('close', (code) => { end(code ?? 128); });
    if (signal.aborted) stop();
  });
}

function setLowest(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}
