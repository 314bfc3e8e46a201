/** `holdfast serve smb` as a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { ToolError } from '../../src/core/index.ts';
import { startHoldfast } from '../holdfast.ts';

const START_MS = 120_000;

/** See the module's comment. */
export class ServedShare {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#said += text; });
    this.#ended = new Promise((resolve) => { child.once('close', (code, signal) => { resolve(code ?? (signal === null ? -1 : 128)); }); });
  }

  /** Resolves when the share is there. @throws {ToolError} with what it said, when it ends instead. */
  static async start(location: string, words: readonly string[]): Promise<ServedShare> {
    const share = new ServedShare(startHoldfast(['serve', 'smb', location, ...words], { environment: { SUDO_USER: 'root' } }));
    const served = new Promise<void>((resolve) => {
      share.#child.stderr?.on('data', () => { if (share.#said.includes(' is served as //')) resolve(); });
    });
    const timer = setTimeout(() => { share.#child.kill('SIGKILL'); }, START_MS);
    const isServed = await Promise.race([served.then(() => true), share.#ended.then(() => false)]);
    clearTimeout(timer);
    if (!isServed) throw new ToolError(`Serve '${location}': ${share.#said.trim()}`);
    return share;
  }

  /** What it wrote to stderr so far. */
  get said(): string {
    return this.#said;
  }

  /** @returns its exit code; 128 after a signal that it did not catch. */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    if (this.#child.exitCode === null) this.#child.kill(signal);
    return this.#ended;
  }

  /** SIGKILL, for it and the helper that would unmount: a dead mount stays. @returns how many helpers there were. */
  async endWithHelper(mount: string): Promise<number> {
    const helpers = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isHelper(name, mount));
    for (const pid of helpers) process.kill(Number(pid), 'SIGKILL');
    await this.end('SIGKILL');
    return helpers.length;
  }
}

function isHelper(pid: string, mount: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[0] === 'fusermount3' && words.includes(mount);
  } catch {
    return false; // it has ended since
  }
}
