/** One measured process: its wall and processor time and its memory, from outside, alike for ours and the tools beside it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import * as path from 'node:path';

/** What one process took. */
export interface Figures {
  /** What the process says of its own work, without its start, where it says so; else the same as `wallSeconds`. */
  readonly seconds: number;
  /** From start to end. */
  readonly wallSeconds: number;
  /** User and system, to 10 ms. */
  readonly cpuSeconds: number;
  readonly residentBytesMax: number;
}

/** A process that was measured, with what it wrote. */
export interface Measured {
  readonly figures: Figures;
  readonly output: string;
}

/**
 * Runs a program below `time`; `secondsOf` finds in the output how long the program says that its work took. The output goes to a file below `work`.
 * @throws {Error} when it fails: a figure of a program that failed is none.
 */
export async function measureProgram(work: string, command: readonly string[], secondsOf?: (output: string) => number): Promise<Measured> {
  const folder = mkdtempSync(path.join(work, 'run-'));
  const [times, output] = [path.join(folder, 'times'), path.join(folder, 'output')];
  const file = openSync(output, 'w');
  try {
    const begun = performance.now();
    const environment = { ...process.env, HOME: work, XDG_CACHE_HOME: path.join(work, 'cache') };
    const child = spawn('time', ['-q', '-f', '%U %S %M', '-o', times, ...command], { stdio: ['ignore', file, 'inherit'], env: environment });
    const [code] = await once(child, 'close') as [number | null];
    const wallSeconds = (performance.now() - begun) / 1000;
    const text = readFileSync(output, 'utf8');
    if (code !== 0) throw new Error(`Run '${command.join(' ')}': it ended with '${String(code)}': ${text.slice(-500)}`);
    const [user = Number.NaN, system = Number.NaN, kilobytes = Number.NaN] = readFileSync(times, 'utf8').trim().split(' ').map(Number);
    const figures = { seconds: secondsOf?.(text) ?? wallSeconds, wallSeconds, cpuSeconds: user + system, residentBytesMax: kilobytes * 1024 };
    if (Object.values(figures).some((value) => !Number.isFinite(value))) throw new Error(`Run '${command.join(' ')}': no figures in ${text.slice(-500)}`);
    return { figures, output: text };
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
}

/** Figures of processes that ran one after the other for one task. */
export function sumOf(parts: readonly Figures[]): Figures {
  const total = (of: (one: Figures) => number): number => parts.reduce((sum, one) => sum + of(one), 0);
  return {
    seconds: total((one) => one.seconds), wallSeconds: total((one) => one.wallSeconds), cpuSeconds: total((one) => one.cpuSeconds),
    residentBytesMax: Math.max(...parts.map((one) => one.residentBytesMax)),
  };
}

/** The slowest of processes that ran at once, with the processor time of all of them. */
export function slowestOf(parts: readonly Figures[]): Figures {
  const most = (of: (one: Figures) => number): number => Math.max(...parts.map(of));
  return { ...sumOf(parts), seconds: most((one) => one.seconds), wallSeconds: most((one) => one.wallSeconds) };
}
