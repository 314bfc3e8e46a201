/** Runs the command line as a user would: a process of its own, with its peak memory measured. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { repositoryRoot } from './environment.ts';

/** How a run ended. */
export interface HoldfastResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Peak resident memory of the process with all its threads, in MB (10^6 bytes). */
  readonly peakMegabytes: number;
  readonly seconds: number;
}

const marker = 'holdfast-lab-peak-kib ';
/**
 * Reported by the process itself at its end: exact, where polling would miss a peak. As `peak.ts` reads it.
 */
const hook = `data:text/javascript,${encodeURIComponent(`import { readFileSync } from 'node:fs';
process.on('exit', () => process.stderr.write('${marker}' + /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1] + '\\n'));`)}`;

/** The command line that starts holdfast, to be followed by its arguments. */
export function holdfastCommand(): readonly string[] {
  return [process.execPath, path.join(repositoryRoot(), 'dist', 'src', 'services', 'cli', 'main.js')];
}

/** What a run differs in from this process: another user (needs root), more variables of the environment. */
export interface RunAs {
  readonly uid?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts holdfast. The caller ends it. */
export function startHoldfast(parameters: readonly string[], { uid, environment }: RunAs = {}): ChildProcess {
  const [program = '', script = ''] = holdfastCommand();
  return spawn(program, ['--import', hook, script, ...parameters], {
    stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment }, ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}

/** Collects the output of a started holdfast until it ends. */
export function finished(child: ChildProcess): Promise<HoldfastResult> {
  const begun = process.hrtime.bigint();
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      const peak = new RegExp(`${marker}(\\d+)`).exec(stderr)?.[1] ?? '0';
      resolve({
        status: status ?? (signal === null ? -1 : 128), stdout, stderr: stderr.replace(new RegExp(`${marker}\\d+\\n`), ''),
        peakMegabytes: Number(peak) * 1024 / 1e6, seconds: Number(process.hrtime.bigint() - begun) / 1e9,
      });
    });
  });
}

/** Runs holdfast to its end without input. */
export function holdfast(parameters: readonly string[], as: RunAs = {}): Promise<HoldfastResult> {
  const child = startHoldfast(parameters, as);
  child.stdin?.end();
  return finished(child);
}

/** The JSON object a run printed. @throws {SyntaxError} when it printed none. */
export function jsonOf(result: HoldfastResult): Record<string, unknown> {
  return JSON.parse(result.stdout) as Record<string, unknown>;
}
