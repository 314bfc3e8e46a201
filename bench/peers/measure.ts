/**
 * Runs one command to its end and says what it cost. With GNU time the figures are those of wait4: CPU of the command and
 * every descendant it waited for, and the largest peak of any single one of them. Wall time is from spawn to exit, so it
 * includes process start-up. GNU time also keeps this process's own size out of the figure: Linux hands the peak of the
 * forking process on to the child it becomes.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ToolError } from '../../src/core/index.ts';
import { sampleProcess } from './sampling.ts';

/** A command line as the operating system gets it: no shell unless argv names one. */
export interface Command {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes besides 0 that count as done. */
  readonly alsoDone?: readonly number[];
}

/** Cost of one command, or the sum over several run one after the other. */
export interface Usage {
  readonly wallS: number;
  /** User plus system seconds. */
  readonly cpuS: number;
  readonly peakRssBytes: number;
  /** Last 4 KiB of standard output: the JSON object of `--json` verbs fits. */
  readonly stdout: string;
}

const GNU_TIME = '/usr/bin/time';
const TAIL_CHARS = 4096;
const running = new Set<ChildProcess>();

/** Whether wait4 figures are available; without them {@link measure} samples /proc. */
export function hasGnuTime(): boolean {
  try {
    accessSync(GNU_TIME, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs commands in order and adds up wall and CPU time; the peak is the largest one.
 * @param scratch existing directory for the measuring file.
 * @throws ToolError when a command cannot start or exits with anything but 0; its last words are in the message.
 */
export async function measure(commands: readonly Command[], scratch: string): Promise<Usage> {
  let total: Usage = { wallS: 0, cpuS: 0, peakRssBytes: 0, stdout: '' };
  for (const command of commands) {
    const one = hasGnuTime() ? await runTimed(command, join(scratch, 'usage')) : await runSampled(command);
    total = {
      wallS: total.wallS + one.wallS,
      cpuS: total.cpuS + one.cpuS,
      peakRssBytes: Math.max(total.peakRssBytes, one.peakRssBytes),
      stdout: one.stdout,
    };
  }
  return total;
}

/** Ends the command that runs now, with its descendants: each is the leader of its own process group. */
export function stopRunning(): void {
  for (const { pid } of running) if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}

/** Runs commands without keeping their cost. @throws ToolError as {@link measure}. */
export async function run(commands: readonly Command[]): Promise<string> {
  let stdout = '';
  for (const command of commands) stdout = (await finish(start(command), command)).stdout;
  return stdout;
}

async function runTimed(command: Command, usageFile: string): Promise<Usage> {
  rmSync(usageFile, { force: true });
  const timed = { ...command, argv: [GNU_TIME, '--quiet', '-o', usageFile, '-f', '%U %S %M', ...command.argv] };
  const { wallS, stdout } = await finish(start(timed), command);
  const [user, system, peakKib] = readFileSync(usageFile, 'utf8').trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
  return { wallS, cpuS: (user ?? NaN) + (system ?? NaN), peakRssBytes: (peakKib ?? NaN) * 1024, stdout };
}

async function runSampled(command: Command): Promise<Usage> {
  const started = start(command);
  const sampler = sampleProcess(started.child.pid);
  const { wallS, stdout } = await finish(started, command);
  return { wallS, stdout, ...sampler.stop() };
}

interface Started {
  readonly child: ChildProcess;
  readonly atMs: number;
}

function start(command: Command): Started {
  const [file, ...args] = command.argv;
  const atMs = performance.now();
  const child = spawn(file ?? '', args, { cwd: command.cwd, env: { ...command.env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  return { child, atMs };
}

function finish(started: Started, command: Command): Promise<{ wallS: number; stdout: string }> {
  const { child, atMs } = started;
  const out = keepTail(child.stdout);
  const err = keepTail(child.stderr);
  let wallS = NaN;
  return new Promise((resolve, reject) => {
    child.on('exit', () => (wallS = (performance.now() - atMs) / 1000));
    child.on('error', (cause) => {
      running.delete(child);
      reject(new ToolError(`Start '${command.argv[0]}': ${cause.message}`, {}, cause));
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      if (code === 0 || command.alsoDone?.includes(code ?? -1) === true) resolve({ wallS, stdout: out.text });
      else reject(new ToolError(`Run '${command.argv.join(' ')}': exit ${code ?? signal}: ${(err.text || out.text).trim()}`));
    });
  });
}

function keepTail(stream: ChildProcess['stdout']): { text: string } {
  const tail = { text: '' };
  stream?.setEncoding('utf8');
  stream?.on('data', (part: string) => (tail.text = (tail.text + part).slice(-TAIL_CHARS)));
  return tail;
}
