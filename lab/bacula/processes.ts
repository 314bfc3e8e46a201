/** Processes of adapters, found by their command lines: ids alone are used again. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stand } from './stand.ts';

const STEP_MS = 100;

function isRunning(pid: number, words: readonly string[]): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    return words.every((word) => line.some((one) => one === word || one.endsWith(`/${word}/main.js`)));
  } catch {
    return false;
  }
}

/** Ids of the running processes of an installed program, oldest first; `words` are among their arguments. */
export function runningOf(stand: Stand, program: string, ...words: readonly string[]): readonly number[] {
  return stand.pidsOf(program).filter((pid) => isRunning(pid, [program.replace('holdfast-', ''), ...words]));
}

/** SIGKILL to the newest of them. @returns whether there was one. */
export function killNewest(stand: Stand, program: string, ...words: readonly string[]): boolean {
  const pid = runningOf(stand, program, ...words).at(-1);
  if (pid === undefined) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false; // it has just ended by itself
  }
}

/** Waits until none of them runs. @returns whether that was in time. */
export async function allEnded(timeoutMs: number, running: () => readonly number[]): Promise<boolean> {
  for (let waited = 0; waited < timeoutMs; waited += STEP_MS) {
    if (running().length === 0) return true;
    await sleep(STEP_MS);
  }
  return false;
}

/** SIGKILL to all of them: what is left at a scenario's end. */
export function killAll(stand: Stand, program: string): void {
  while (killNewest(stand, program));
}

/** Whether a child process is gone. */
export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Waits for a child's end. @returns its exit code, -1 when a signal ended it */
export function endOf(child: ChildProcess): Promise<number> {
  if (hasEnded(child)) return Promise.resolve(child.exitCode ?? -1);
  return new Promise<number>((resolve) => child.once('exit', (status) => { resolve(status ?? -1); }));
}

/** Sends a signal to a child and waits for its end. @returns as {@link endOf} */
export function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
  const end = endOf(child);
  child.kill(signal);
  return end;
}
